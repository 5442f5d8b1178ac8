//! The root-mean-square norm as one node, alone or with a residual connection.

use rondo_cube::norm::{self, Input};
use rondo_cube::primitive::Cube;
use rondo_cube::tensor::CubeTensor;
use rondo_kernels::norm::Norm;

use crate::ops::graph::Function;
use crate::ops::operands::{NormTensors, ResidualNormTensors};

/// A norm with a residual connection.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) enum ResidualNorm {
    /// `n(x + y)`.
    OfSum(Norm),
    /// `x + n(y)`.
    Added(Norm),
}

impl Function<Cube, 2> for Norm {
    type Names = Self;
    type Saved = ();
    type Aside = ();

    fn forward(&self, operands: NormTensors<CubeTensor>, _: bool) -> (CubeTensor, (), ()) {
        let NormTensors { x, scale } = operands;
        let out = norm::forward(Input::Alone(&x), scale.as_ref(), self.eps);
        (out, (), ())
    }

    fn backward(
        &self,
        operands: NormTensors<CubeTensor>,
        (): (),
        d_out: CubeTensor,
    ) -> NormTensors<CubeTensor> {
        let NormTensors { x, scale } = operands;
        let found = norm::backward(&x, None, scale.as_ref(), &d_out, self.eps);
        NormTensors {
            x: found.normed,
            scale: found.scale,
        }
    }
}

impl Function<Cube, 3> for ResidualNorm {
    type Names = Self;
    type Saved = ();
    type Aside = ();

    fn forward(&self, operands: ResidualNormTensors<CubeTensor>, _: bool) -> (CubeTensor, (), ()) {
        let ResidualNormTensors { x, y, scale } = operands;
        let (input, eps) = match self {
            Self::OfSum(norm) => (Input::Sum(&x, &y), norm.eps),
            Self::Added(norm) => (Input::AddedTo(&x, &y), norm.eps),
        };
        (norm::forward(input, scale.as_ref(), eps), (), ())
    }

    fn backward(
        &self,
        operands: ResidualNormTensors<CubeTensor>,
        (): (),
        d_out: CubeTensor,
    ) -> ResidualNormTensors<CubeTensor> {
        let ResidualNormTensors { x, y, scale } = operands;
        let scale = scale.as_ref();
        match self {
            Self::OfSum(norm) => {
                let found = norm::backward(&x, Some(&y), scale, &d_out, norm.eps);
                ResidualNormTensors {
                    x: found.normed.clone(),
                    y: found.normed,
                    scale: found.scale,
                }
            }
            Self::Added(norm) => {
                let found = norm::backward(&y, None, scale, &d_out, norm.eps);
                ResidualNormTensors {
                    x: d_out,
                    y: found.normed,
                    scale: found.scale,
                }
            }
        }
    }
}
