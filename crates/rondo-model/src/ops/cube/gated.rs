//! Gated SiLU as one node. The two operands are the halves of each row.

use rondo_cube::gated;
use rondo_cube::primitive::Cube;
use rondo_cube::tensor::CubeTensor;

use crate::ops::graph::Function;
use crate::ops::operands::{Lone, OneTensor};

/// `SiLU(a) ⊙ b`, where a and b are the halves of each row.
#[derive(Clone, Copy, Debug)]
pub(super) struct GatedHalves;

impl Function<Cube, 1> for GatedHalves {
    type Names = OneTensor;
    type Saved = ();
    type Aside = ();

    fn forward(&self, Lone { x }: Lone<CubeTensor>, _: bool) -> (CubeTensor, (), ()) {
        (gated::forward(&x), (), ())
    }

    fn backward(
        &self,
        Lone { x }: Lone<CubeTensor>,
        (): (),
        d_out: CubeTensor,
    ) -> Lone<CubeTensor> {
        Lone {
            x: gated::backward(&x, &d_out),
        }
    }
}
