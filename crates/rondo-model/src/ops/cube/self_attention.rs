//! Self-attention without gates, from the rows of its one product to its heads side by side, as one node.

use burn::backend::TensorMetadata;
use rondo_cube::heads::{self, Layout, Tables};
use rondo_cube::primitive::Cube;
use rondo_cube::tensor::{CubeTensor, contiguous, reshaped, sum_of_rows, swapped};

use super::SoftmaxAttention;
use crate::ops::graph::Function;
use crate::ops::operands::{Heads, Qkv};

/// `softmax(q·kᵀ / √d_head) · v` of rotated queries and keys.
#[derive(Clone, Debug)]
pub(in crate::ops) struct RotatedAttention {
    pub(super) layout: Layout,
    /// `[seq, d_head]`, as the rotary embedding's tables are laid out.
    pub(super) cos: CubeTensor,
    /// Likewise.
    pub(super) sin: CubeTensor,
    pub(super) softmax: SoftmaxAttention,
}

impl RotatedAttention {
    fn tables(&self) -> Tables<'_> {
        Tables {
            cos: &self.cos,
            sin: &self.sin,
        }
    }

    fn heads(&self, operands: &Qkv<CubeTensor>) -> Heads<CubeTensor> {
        let rows = &operands.qkv;
        let heads = heads::split(self.layout, rows, operands.bias.as_ref(), self.tables());
        Heads {
            queries: heads.queries,
            keys: heads.keys,
            values: heads.values,
        }
    }
}

impl Function<Cube, 2> for RotatedAttention {
    type Names = Self;
    /// The weights, `[batch, heads, seq, seq]`. The heads are made again in the backward pass.
    type Saved = CubeTensor;
    type Aside = ();

    fn forward(&self, operands: Qkv<CubeTensor>, tracked: bool) -> (CubeTensor, CubeTensor, ()) {
        let heads = self.heads(&operands);
        let (attended, weights, ()) = self.softmax.forward(heads, tracked);
        // Heads side by side.
        (contiguous(swapped(attended, 1, 2)), weights, ())
    }

    fn backward(
        &self,
        operands: Qkv<CubeTensor>,
        weights: CubeTensor,
        d_out: CubeTensor,
    ) -> Qkv<CubeTensor> {
        let Layout {
            batch,
            seq,
            queries,
            keys,
            d_head,
        } = self.layout;
        let d_out = reshaped(d_out, [batch, seq, queries, d_head]);
        let d_out = contiguous(swapped(d_out, 1, 2));
        let heads = self.heads(&operands);
        let found = self.softmax.backward(heads, weights, d_out);
        let gradients = heads::Heads {
            queries: found.queries,
            keys: found.keys,
            values: found.values,
        };
        let rows = heads::merge(self.layout, &gradients, self.tables());
        let bias = operands.bias.map(|bias| {
            let biased = (queries + keys) * d_head;
            reshaped(sum_of_rows(&rows, biased), bias.shape())
        });
        Qkv { qkv: rows, bias }
    }
}
