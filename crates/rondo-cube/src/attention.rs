//! Softmax attention without its matrix of scores (Dao et al. 2022, arXiv 2205.14135; Dao 2023, arXiv 2307.08691).
//!
//! ```text
//! out_i = Σⱼ pᵢⱼ · vⱼ,   pᵢⱼ = e^(sᵢⱼ − lseᵢ),   sᵢⱼ = qᵢ·kⱼ / √d_head,   lseᵢ = ln Σⱼ e^(sᵢⱼ)       j over what query i sees
//! ```
//!
//! A cube goes over tiles of scores that live in its registers. The forward pass keeps the logarithms of the sums, of which the
//! backward pass makes the weights again. So memory grows with the length of a sequence and not with its square. Queries and keys
//! get their bias and their rotary embedding on the way into shared memory, and a key head serves its query heads where it lies.
//!
//! In reading order: how units are laid over a `tile`; how rows come into shared memory (`stage`); the `product`s in registers;
//! how lanes `join` what they have found; which keys a query sees (`sight`); the kernels of the `forward` and the `backward` pass; their launches (`problem`).

#[allow(
    clippy::too_many_lines,
    reason = "buffers are arguments one by one, on a line each"
)]
mod backward;
mod forward;
mod join;
mod problem;
mod product;
mod sight;
mod stage;
mod tile;

use burn::backend::TensorMetadata;
use burn::tensor::Shape;

use self::problem::{Problem, Sizes, Strides};
use self::tile::Kept;
use crate::cross_entropy;
use crate::heads::{Layout, Tables, turn_back};
use crate::tensor::{CubeTensor, check, empty, matrix};

/// What attention gives.
#[derive(Clone, Debug)]
pub struct Attended {
    /// The weighted sums of values, laid out as the queries are.
    pub out: CubeTensor,
    /// The logarithm of the sum of the powers of each query's scores, `[batch, queries, seq]` with the heads of queries.
    pub lse: CubeTensor,
}

/// Causal attention in rows that hold the queries of every head, then the keys, then the values.
#[derive(Clone, Copy, Debug)]
pub struct InRows<'a> {
    /// How rows hold heads.
    pub layout: Layout,
    /// `[batch · seq, width]`.
    pub rows: &'a CubeTensor,
    /// What is added to queries and keys before they are rotated, `[queries + keys, d_head]`.
    pub bias: Option<&'a CubeTensor>,
    /// The rotary embedding.
    pub tables: Tables<'a>,
    /// The place in its row of the first token of every token's segment, i32, `[batch, seq]`, where rows are cut into
    /// segments: positions start anew in each, and attention stays within it.
    pub firsts: Option<&'a CubeTensor>,
}

/// Attention of heads that are apart: as many query heads as there are, or a multiple of the key heads.
#[derive(Clone, Copy, Debug)]
pub struct Apart<'a> {
    /// `[batch, heads, queries, d_head]`.
    pub queries: &'a CubeTensor,
    /// `[batch, key heads, keys, d_head]`.
    pub keys: &'a CubeTensor,
    /// As the keys.
    pub values: &'a CubeTensor,
    /// Whether a query sees no key after its own; there are as many keys as queries then. Otherwise it sees every key.
    pub causal: bool,
}

/// The gradients of heads that are apart.
#[derive(Clone, Debug)]
pub struct ApartGradients {
    /// As [`Apart::queries`].
    pub queries: CubeTensor,
    /// As [`Apart::keys`].
    pub keys: CubeTensor,
    /// As [`Apart::values`].
    pub values: CubeTensor,
}

impl<'a> InRows<'a> {
    /// Attends.
    ///
    /// # Shapes
    ///
    /// Returns rows with the heads side by side, `[batch · seq, queries · d_head]`.
    ///
    /// # Panics
    ///
    /// Panics where a tensor is not contiguous f32, or shapes do not fit.
    pub fn forward(self) -> Attended {
        let Layout {
            batch,
            seq,
            queries,
            d_head,
            ..
        } = self.layout;
        self.problem().forward([batch * seq, queries * d_head])
    }

    /// Returns the gradient of rows for that of their result; the bias has that of queries and keys, summed over the rows.
    ///
    /// # Panics
    ///
    /// As [`Self::forward`].
    pub fn backward(self, attended: &Attended, d_out: &CubeTensor) -> CubeTensor {
        let problem = self.problem();
        // The columns of queries, of keys and of values: each kernel writes its own.
        let d_rows = empty(self.rows, self.rows.shape());
        problem.backward(attended, d_out, [&d_rows, &d_rows, &d_rows]);
        turn_back(self.layout, d_rows, self.tables, self.firsts)
    }

    fn problem(self) -> Problem<'a> {
        let layout = self.layout;
        layout.check(self.tables);
        check(self.rows);
        assert_eq!(
            matrix(self.rows),
            [layout.batch * layout.seq, layout.width()]
        );
        if let Some(bias) = self.bias {
            check(bias);
            let biased = layout.queries + layout.keys;
            assert_eq!(
                matrix(bias),
                [biased, layout.d_head],
                "a bias for each head"
            );
        }
        if let Some(firsts) = self.firsts {
            assert!(cross_entropy::takes(firsts), "{:?}", firsts.dtype);
            assert_eq!(matrix(firsts), [layout.batch, layout.seq], "first places");
        }
        let heads = |before: usize| Strides {
            first: before * layout.d_head,
            sequence: layout.seq * layout.width(),
            head: layout.d_head,
            position: layout.width(),
        };
        let out = Strides {
            first: 0,
            sequence: layout.seq * layout.queries * layout.d_head,
            head: layout.d_head,
            position: layout.queries * layout.d_head,
        };
        Problem {
            operands: [self.rows; 3],
            strides: [
                heads(0),
                heads(layout.queries),
                heads(layout.queries + layout.keys),
                out,
            ],
            bias: self.bias,
            tables: Some(self.tables),
            firsts: self.firsts,
            sizes: Sizes {
                batch: layout.batch,
                heads: layout.queries,
                key_heads: layout.keys,
                queries: layout.seq,
                keys: layout.seq,
            },
            d_head: layout.d_head,
            causal: true,
            kept: Kept::on(&self.rows.client),
        }
    }
}

impl<'a> Apart<'a> {
    /// Attends.
    ///
    /// # Shapes
    ///
    /// The result has the shape of the queries.
    ///
    /// # Panics
    ///
    /// Panics where a tensor is not contiguous f32, or shapes do not fit.
    pub fn forward(self) -> Attended {
        self.problem().forward(self.queries.shape())
    }

    /// Returns the gradients of the heads for that of their result.
    ///
    /// # Panics
    ///
    /// As [`Self::forward`].
    pub fn backward(self, attended: &Attended, d_out: &CubeTensor) -> ApartGradients {
        let like = |x: &CubeTensor| empty(x, x.shape());
        let gradients = ApartGradients {
            queries: like(self.queries),
            keys: like(self.keys),
            values: like(self.values),
        };
        let out = [&gradients.queries, &gradients.keys, &gradients.values];
        self.problem().backward(attended, d_out, out);
        gradients
    }

    fn problem(self) -> Problem<'a> {
        let operands = [self.queries, self.keys, self.values];
        operands.into_iter().for_each(check);
        let [batch, heads, queries, d_head] = self.queries.shape().dims();
        let [_, key_heads, keys, _] = self.keys.shape().dims();
        let of_keys = Shape::from([batch, key_heads, keys, d_head]);
        assert_eq!(self.keys.shape(), of_keys, "keys");
        assert_eq!(self.values.shape(), of_keys, "values");
        assert!(
            heads.is_multiple_of(key_heads),
            "{heads} heads, {key_heads} of keys"
        );
        assert!(
            !self.causal || queries == keys,
            "{queries} causal queries of {keys} keys"
        );
        let strides = |heads: usize, positions: usize| Strides {
            first: 0,
            sequence: heads * positions * d_head,
            head: positions * d_head,
            position: d_head,
        };
        let (of_queries, of_keys) = (strides(heads, queries), strides(key_heads, keys));
        Problem {
            operands,
            strides: [of_queries, of_keys, of_keys, of_queries],
            bias: None,
            tables: None,
            firsts: None,
            sizes: Sizes {
                batch,
                heads,
                key_heads,
                queries,
                keys,
            },
            d_head,
            causal: self.causal,
            kept: Kept::on(&self.queries.client),
        }
    }
}

#[cfg(test)]
mod tests;
