//! The token embedding as one node.

use burn::backend::TensorMetadata;
use rondo_cube::embedding;
use rondo_cube::primitive::Cube;
use rondo_cube::tensor::CubeTensor;

use crate::ops::graph::Function;
use crate::ops::operands::{Lone, OneTensor};

/// Looks up the rows of the table at `ids`.
#[derive(Clone, Debug)]
pub(super) struct Embedding {
    pub(super) ids: CubeTensor,
}

impl Function<Cube, 1> for Embedding {
    type Names = OneTensor;
    type Saved = ();
    type Aside = ();

    fn forward(&self, Lone { x }: Lone<CubeTensor>, _: bool) -> (CubeTensor, (), ()) {
        (embedding::forward(&x, &self.ids), (), ())
    }

    fn backward(
        &self,
        Lone { x }: Lone<CubeTensor>,
        (): (),
        d_out: CubeTensor,
    ) -> Lone<CubeTensor> {
        Lone {
            x: embedding::backward(&self.ids, &d_out, x.shape()[0]),
        }
    }
}
