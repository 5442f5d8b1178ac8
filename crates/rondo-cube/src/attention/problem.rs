//! Attention whose operands may have any strides, and the launches of its kernels.

use burn::backend::TensorMetadata;
use burn::tensor::Shape;

use super::Attended;
use super::backward::{keys_kernel, products_kernel, queries_kernel};
use super::forward::forward_kernel;
use super::sight::{Form, PlacesLaunch, SizesLaunch};
use super::stage::{PlaceLaunch, Turn};
use super::tile::{Kept, Tile};
use crate::heads::Tables;
use crate::rows::{self, cube_count};
use crate::tensor::{CubeTensor, check, empty};

/// Attention whose operands may have any strides.
pub(super) struct Problem<'a> {
    /// Queries, keys and values.
    pub(super) operands: [&'a CubeTensor; 3],
    /// The strides of queries, keys, values and the result.
    pub(super) strides: [Strides; 4],
    pub(super) bias: Option<&'a CubeTensor>,
    pub(super) tables: Option<Tables<'a>>,
    pub(super) firsts: Option<&'a CubeTensor>,
    pub(super) sizes: Sizes,
    pub(super) d_head: usize,
    pub(super) causal: bool,
    pub(super) kept: Kept,
}

/// The numbers of [`super::stage::Place`], on the host.
#[derive(Clone, Copy)]
pub(super) struct Strides {
    pub(super) first: usize,
    pub(super) sequence: usize,
    pub(super) head: usize,
    pub(super) position: usize,
}

/// The numbers of [`super::sight::Sizes`], on the host.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) batch: usize,
    pub(super) heads: usize,
    pub(super) key_heads: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
}

impl Problem<'_> {
    /// Launches the forward pass. `shape` is the shape of the result; it must have as many elements
    /// as the strides of the result cover.
    pub(super) fn forward(&self, shape: impl Into<Shape>) -> Attended {
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

    /// Launches the backward pass, which writes the gradients of queries, keys and values.
    pub(super) fn backward(
        &self,
        attended: &Attended,
        d_out: &CubeTensor,
        gradients: [&CubeTensor; 3],
    ) {
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

    /// Returns how the units of a cube share a tile. For each own row, a unit keeps `count[0]`
    /// numbers per other row and `count[1]` numbers per column of the result.
    pub(super) fn tile(&self, count: [usize; 2]) -> Tile {
        Tile::new(&self.operands[0].client, self.d_head, self.kept, count)
    }

    /// Returns the bias, the cosines, the sines and the first positions of segments. In the place
    /// of a missing tensor it returns the queries; no kernel reads such an argument.
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

    /// Returns the factor of the scores, `1 / √d_head`.
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
