//! Self-attention without gates as one node. Each input row holds the queries, keys and values of a
//! token. Each output row holds the results of all heads side by side.

use burn::backend::TensorMetadata;
use rondo_cube::attention::{Attended, InRows};
use rondo_cube::heads::{Layout, Tables};
use rondo_cube::primitive::Cube;
use rondo_cube::tensor::{CubeTensor, reshaped, sum_of_rows};

use crate::ops::graph::Function;
use crate::ops::operands::Qkv;

/// `softmax(q·kᵀ / √d_head) · v` of rotated queries and keys.
#[derive(Clone, Debug)]
pub(in crate::ops) struct RotatedAttention {
    pub(super) layout: Layout,
    /// Cosines in the layout of the rotary embedding's tables, `[seq, d_head]`.
    pub(super) cos: CubeTensor,
    /// Sines in the same layout, `[seq, d_head]`.
    pub(super) sin: CubeTensor,
    /// The position in the row at which the segment of each token starts, `[batch, seq]`. `None` if
    /// rows are not divided.
    pub(super) firsts: Option<CubeTensor>,
}

impl RotatedAttention {
    fn of<'a>(&'a self, operands: &'a Qkv<CubeTensor>) -> InRows<'a> {
        InRows {
            layout: self.layout,
            rows: &operands.qkv,
            bias: operands.bias.as_ref(),
            tables: Tables {
                cos: &self.cos,
                sin: &self.sin,
            },
            firsts: self.firsts.as_ref(),
        }
    }
}

impl Function<Cube, 2> for RotatedAttention {
    type Names = Self;
    type Saved = Attended;
    type Aside = ();

    fn forward(&self, operands: Qkv<CubeTensor>, _: bool) -> (CubeTensor, Attended, ()) {
        let attended = self.of(&operands).forward();
        (attended.out.clone(), attended, ())
    }

    fn backward(
        &self,
        operands: Qkv<CubeTensor>,
        attended: Attended,
        d_out: CubeTensor,
    ) -> Qkv<CubeTensor> {
        let d_rows = self.of(&operands).backward(&attended, &d_out);
        let Layout {
            queries,
            keys,
            d_head,
            ..
        } = self.layout;
        let bias = operands.bias.map(|bias| {
            let biased = (queries + keys) * d_head;
            reshaped(sum_of_rows(&d_rows, biased), bias.shape())
        });
        Qkv { qkv: d_rows, bias }
    }
}
