//! Softmax attention that never stores the matrix of scores (Dao et al. 2022, arXiv 2205.14135; Dao
//! 2023, arXiv 2307.08691).
//!
//! ```text
//! out_i = Σⱼ pᵢⱼ · vⱼ,   pᵢⱼ = e^(sᵢⱼ − lseᵢ)        j over the keys that query i sees
//!    sᵢⱼ = qᵢ·kⱼ / √d_head,   lseᵢ = ln Σⱼ e^(sᵢⱼ)
//! ```
//!
//! A cube (cubecl's word for a block of GPU threads) computes the scores tile by tile in its
//! registers. The forward pass stores only lse, from which the backward pass recomputes the
//! weights. Memory therefore grows with the length of a sequence, not with its square. Bias and
//! rotary embedding are applied to queries and keys when they are loaded into shared memory. Key
//! heads are not copied for the query heads that use them.
//!
//! Reading order: `tile`, how the units (threads) of a cube share a tile; `stage`, which loads rows
//! into shared memory; `product`, the products in registers; `join`, which combines the numbers of
//! lanes; `sight`, which keys a query sees; `forward` and `backward`, the kernels; `problem`, their
//! launches.

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

/// The result of attention.
#[derive(Clone, Debug)]
pub struct Attended {
    /// The weighted sums of values, in the layout of the queries.
    pub out: CubeTensor,
    /// The logarithm of the sum of e^score over the keys of each query,
    /// `[batch, query heads, seq]`.
    pub lse: CubeTensor,
}

/// Causal attention on packed rows. A row holds the queries of every head, then the keys, then the
/// values.
#[derive(Clone, Copy, Debug)]
pub struct InRows<'a> {
    /// The layout of heads in rows.
    pub layout: Layout,
    /// The rows, `[batch · seq, width]`.
    pub rows: &'a CubeTensor,
    /// The bias that is added to queries and keys before the rotary embedding,
    /// `[queries + keys, d_head]`.
    pub bias: Option<&'a CubeTensor>,
    /// The rotary embedding.
    pub tables: Tables<'a>,
    /// For each token: the position, within the row, of the first token of its segment; i32,
    /// `[batch, seq]`. Positions restart in each segment, and a token attends only within its
    /// segment. `None` if the rows are not cut into segments.
    pub firsts: Option<&'a CubeTensor>,
}

/// Attention with queries, keys and values in separate tensors. The number of query heads is a
/// multiple of the number of key heads.
#[derive(Clone, Copy, Debug)]
pub struct Apart<'a> {
    /// The queries, `[batch, heads, queries, d_head]`.
    pub queries: &'a CubeTensor,
    /// The keys, `[batch, key heads, keys, d_head]`.
    pub keys: &'a CubeTensor,
    /// The values, with the shape of the keys.
    pub values: &'a CubeTensor,
    /// Whether a query sees only the keys up to its own position. There must then be as many keys
    /// as queries. Otherwise a query sees every key.
    pub causal: bool,
}

/// The gradients of separate queries, keys and values.
#[derive(Clone, Debug)]
pub struct ApartGradients {
    /// The gradient of [`Apart::queries`], in their shape.
    pub queries: CubeTensor,
    /// The gradient of [`Apart::keys`], in their shape.
    pub keys: CubeTensor,
    /// The gradient of [`Apart::values`], in their shape.
    pub values: CubeTensor,
}

impl<'a> InRows<'a> {
    /// Computes attention.
    ///
    /// # Shapes
    ///
    /// The result has rows with the heads one after another, `[batch · seq, queries · d_head]`.
    ///
    /// # Panics
    ///
    /// Panics if a tensor is not contiguous f32 or the shapes do not fit.
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

    /// Returns the gradient of the rows, given the gradient of the result. The gradient of the bias
    /// is the sum of this gradient's queries and keys over the rows.
    ///
    /// # Panics
    ///
    /// As [`Self::forward`].
    pub fn backward(self, attended: &Attended, d_out: &CubeTensor) -> CubeTensor {
        let problem = self.problem();
        // The three gradients share one tensor, since each kernel writes only its own columns.
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
    /// Computes attention.
    ///
    /// # Shapes
    ///
    /// The result has the shape of the queries.
    ///
    /// # Panics
    ///
    /// Panics if a tensor is not contiguous f32 or the shapes do not fit.
    pub fn forward(self) -> Attended {
        self.problem().forward(self.queries.shape())
    }

    /// Returns the gradients of queries, keys and values, given the gradient of the result.
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
