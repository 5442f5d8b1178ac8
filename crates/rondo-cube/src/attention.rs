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
//! how lanes `join` what they have found; which keys a query sees (`sight`); the kernels of the `forward` and the `backward` pass.

#[allow(
    clippy::too_many_lines,
    reason = "buffers are arguments one by one, on a line each"
)]
mod backward;
mod forward;
mod join;
mod product;
mod sight;
mod stage;
mod tile;

use burn::backend::TensorMetadata;
use burn::tensor::Shape;

use self::backward::{keys_kernel, products_kernel, queries_kernel};
use self::forward::forward_kernel;
use self::sight::{Form, PlacesLaunch, SizesLaunch};
use self::stage::{PlaceLaunch, Turn};
use self::tile::{Kept, Tile};
use crate::cross_entropy;
use crate::heads::{Layout, Tables, turn_back};
use crate::rows::{self, cube_count};
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

/// Attention of operands wherever they lie.
struct Problem<'a> {
    /// Queries, keys and values.
    operands: [&'a CubeTensor; 3],
    /// Where these and the result lie.
    strides: [Strides; 4],
    bias: Option<&'a CubeTensor>,
    tables: Option<Tables<'a>>,
    firsts: Option<&'a CubeTensor>,
    sizes: Sizes,
    d_head: usize,
    causal: bool,
    kept: Kept,
}

/// As [`self::stage::Place`], on the host.
#[derive(Clone, Copy)]
struct Strides {
    first: usize,
    sequence: usize,
    head: usize,
    position: usize,
}

/// As [`self::sight::Sizes`], on the host.
#[derive(Clone, Copy)]
struct Sizes {
    batch: usize,
    heads: usize,
    key_heads: usize,
    queries: usize,
    keys: usize,
}

impl Problem<'_> {
    fn forward(&self, shape: impl Into<Shape>) -> Attended {
        let [queries, keys, values] = self.operands;
        let sizes = self.sizes;
        let attended = Attended {
            out: empty(queries, shape),
            lse: empty(queries, [sizes.batch, sizes.heads, sizes.queries]),
        };
        let tile = match sizes.queries {
            1 => Tile::of_one(&queries.client, self.d_head),
            _ => self.tile([1, 1]),
        };
        let [bias, cos, sin, firsts] = self.tables();
        forward_kernel::launch(
            &queries.client,
            cube_count(sizes.batch * sizes.heads * sizes.queries.div_ceil(tile.own())),
            tile.cube_dim(),
            queries.clone().into_buffer_arg(),
            keys.clone().into_buffer_arg(),
            values.clone().into_buffer_arg(),
            bias.into_buffer_arg(),
            cos.into_buffer_arg(),
            sin.into_buffer_arg(),
            firsts.into_buffer_arg(),
            attended.out.clone().into_buffer_arg(),
            attended.lse.clone().into_buffer_arg(),
            self.sizes.launch(),
            self.places(),
            self.factor(),
            tile,
            self.form(),
        );
        attended
    }

    fn backward(&self, attended: &Attended, d_out: &CubeTensor, gradients: [&CubeTensor; 3]) {
        check(d_out);
        assert_eq!(
            d_out.shape().num_elements(),
            attended.out.shape().num_elements(),
            "the gradient of a result"
        );
        let [queries, keys, values] = self.operands;
        let [d_queries, d_keys, d_values] = gradients;
        let sizes = self.sizes;
        let client = &queries.client;
        let sums = empty(queries, attended.lse.shape());
        let rows = rows::Tile::new(self.d_head);
        products_kernel::launch(
            client,
            cube_count(rows.cubes(sizes.batch * sizes.heads * sizes.queries)),
            rows.cube_dim(),
            attended.out.clone().into_buffer_arg(),
            d_out.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            sizes.launch(),
            self.places(),
            rows,
        );
        let tile = self.tile([2, 1]);
        let [bias, cos, sin, firsts] = self.tables();
        queries_kernel::launch(
            client,
            cube_count(sizes.batch * sizes.heads * sizes.queries.div_ceil(tile.own())),
            tile.cube_dim(),
            queries.clone().into_buffer_arg(),
            keys.clone().into_buffer_arg(),
            values.clone().into_buffer_arg(),
            bias.clone().into_buffer_arg(),
            cos.clone().into_buffer_arg(),
            sin.clone().into_buffer_arg(),
            firsts.clone().into_buffer_arg(),
            d_out.clone().into_buffer_arg(),
            attended.lse.clone().into_buffer_arg(),
            sums.clone().into_buffer_arg(),
            d_queries.clone().into_buffer_arg(),
            sizes.launch(),
            self.places(),
            self.factor(),
            tile,
            self.form(),
        );
        let tile = self.tile([2, 2]);
        keys_kernel::launch(
            client,
            cube_count(sizes.batch * sizes.key_heads * sizes.keys.div_ceil(tile.own())),
            tile.cube_dim(),
            queries.clone().into_buffer_arg(),
            keys.clone().into_buffer_arg(),
            values.clone().into_buffer_arg(),
            bias.into_buffer_arg(),
            cos.into_buffer_arg(),
            sin.into_buffer_arg(),
            firsts.into_buffer_arg(),
            d_out.clone().into_buffer_arg(),
            attended.lse.clone().into_buffer_arg(),
            sums.into_buffer_arg(),
            d_keys.clone().into_buffer_arg(),
            d_values.clone().into_buffer_arg(),
            sizes.launch(),
            self.places(),
            self.factor(),
            tile,
            self.form(),
        );
    }

    /// Lays units over tiles with so many scores and results for each own row and column.
    fn tile(&self, count: [usize; 2]) -> Tile {
        Tile::new(&self.operands[0].client, self.d_head, self.kept, count)
    }

    /// Returns bias, cosines, sines and first places. A buffer stands in the place of one that is not there; no kernel reads it.
    fn tables(&self) -> [CubeTensor; 4] {
        let nothing = self.operands[0];
        let [cos, sin] = self
            .tables
            .map_or([nothing; 2], |tables| [tables.cos, tables.sin]);
        let [bias, firsts] = [self.bias, self.firsts].map(|x| x.unwrap_or(nothing));
        [bias, cos, sin, firsts].map(Clone::clone)
    }

    fn places(&self) -> PlacesLaunch {
        let [queries, keys, values, out] = self.strides.map(
            |Strides {
                 first,
                 sequence,
                 head,
                 position,
             }| { PlaceLaunch::new(first, sequence, head, position) },
        );
        PlacesLaunch::new(queries, keys, values, out)
    }

    /// Returns what scores are multiplied by, `1 / √d_head`.
    fn factor(&self) -> f32 {
        (self.d_head as f32).sqrt().recip()
    }

    fn form(&self) -> Form {
        Form {
            causal: self.causal,
            turn: Turn {
                rotated: self.tables.is_some(),
                biased: self.bias.is_some(),
                cut: self.firsts.is_some(),
            },
        }
    }
}

impl Sizes {
    fn launch(self) -> SizesLaunch {
        SizesLaunch::new(
            self.batch,
            self.heads,
            self.key_heads,
            self.queries,
            self.keys,
        )
    }
}

#[cfg(test)]
mod tests;
