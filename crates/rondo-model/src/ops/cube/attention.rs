//! Attention without gates on separate heads, as one node.

use rondo_cube::attention::{Apart, Attended};
use rondo_cube::primitive::Cube;
use rondo_cube::tensor::CubeTensor;

use crate::ops::graph::Function;
use crate::ops::operands::Heads;

/// `softmax(q·kᵀ / √d_head) · v`.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct SoftmaxAttention {
    pub(in crate::ops) is_causal: bool,
}

impl SoftmaxAttention {
    fn of(self, heads: &Heads<CubeTensor>) -> Apart<'_> {
        Apart {
            queries: &heads.queries,
            keys: &heads.keys,
            values: &heads.values,
            causal: self.is_causal,
        }
    }
}

impl Function<Cube, 3> for SoftmaxAttention {
    type Names = Self;
    type Saved = Attended;
    type Aside = ();

    fn forward(&self, heads: Heads<CubeTensor>, _: bool) -> (CubeTensor, Attended, ()) {
        let attended = self.of(&heads).forward();
        (attended.out.clone(), attended, ())
    }

    fn backward(
        &self,
        heads: Heads<CubeTensor>,
        attended: Attended,
        d_out: CubeTensor,
    ) -> Heads<CubeTensor> {
        let found = self.of(&heads).backward(&attended, &d_out);
        Heads {
            queries: found.queries,
            keys: found.keys,
            values: found.values,
        }
    }
}
