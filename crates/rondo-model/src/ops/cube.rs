//! The kernels of `rondo-cube` as operations, for f32 on a GPU. The matrix products between them are Burn's.

mod embedding;
mod gated;
mod head;
mod norm;

use burn::backend::DispatchTensorKind;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Int, Shape, Tensor};
use rondo_cube::cross_entropy;
use rondo_cube::primitive::{self, Cube};
use rondo_cube::tensor::{CubeTensor, reshaped};
use rondo_kernels::norm::Norm;

use self::embedding::Embedding;
use self::gated::GatedHalves;
use self::head::CrossEntropy;
pub(super) use self::norm::ResidualNorm;
use super::graph::{self, Access};
use super::operands::{HeadTensors, Lone, NormTensors, ResidualNormTensors};
use super::{Head, HeadLoss, Operations, TokenLosses, composed};

/// The backend of the kernels.
pub(super) struct CubeKernels;

impl Operations for CubeKernels {
    fn embed(&self, table: Tensor<2>, tokens: Tensor<2, Int>) -> Tensor<3> {
        let ([batch, seq], [_, width]) = (tokens.dims(), table.dims());
        let Some(ids) = ids(tokens.clone()) else {
            return composed::embed(table, tokens);
        };
        let operands = Lone {
            x: table.into_dispatch(),
        };
        graph::apply::<Cube, _, 1, 3>(Embedding { ids }, operands, [batch, seq, width]).0
    }

    fn norm(&self, norm: Norm, x: Tensor<3>, scale: Option<Tensor<1>>) -> Tensor<3> {
        let shape = x.dims();
        let operands = NormTensors {
            x: x.into_dispatch(),
            scale: scale.map(Tensor::into_dispatch),
        };
        graph::apply::<Cube, _, 2, 3>(norm, operands, shape).0
    }

    fn norm_of_sum(
        &self,
        norm: Norm,
        x: Tensor<3>,
        y: Tensor<3>,
        scale: Option<Tensor<1>>,
    ) -> Tensor<3> {
        residual(ResidualNorm::OfSum(norm), x, y, scale)
    }

    fn sum_with_norm(
        &self,
        norm: Norm,
        x: Tensor<3>,
        y: Tensor<3>,
        scale: Option<Tensor<1>>,
    ) -> Tensor<3> {
        residual(ResidualNorm::Added(norm), x, y, scale)
    }

    fn gated_projection(&self, x: Tensor<3>, in_proj: Tensor<2>) -> Tensor<3> {
        let halves = composed::project(x, in_proj);
        let [batch, seq, both] = halves.dims();
        let operands = Lone {
            x: halves.into_dispatch(),
        };
        graph::apply::<Cube, _, 1, 3>(GatedHalves, operands, [batch, seq, both / 2]).0
    }

    fn head_cross_entropy(
        &self,
        hidden: Tensor<3>,
        head: Head,
        targets: Tensor<2, Int>,
        weights: Option<Tensor<2>>,
        with_hits: bool,
    ) -> HeadLoss {
        let Some(targets) = ids(targets.clone()) else {
            return composed::head_cross_entropy(hidden, head, targets, weights, with_hits);
        };
        let node = CrossEntropy {
            tied: head.operation.tied,
            targets,
            weights: weights.map(constant),
        };
        let operands = HeadTensors {
            hidden: hidden.into_dispatch(),
            matrix: head.matrix.into_dispatch(),
        };
        let (loss, hits) = graph::apply::<Cube, _, 2, 1>(node, operands, [1]);
        HeadLoss {
            loss,
            hits: with_hits.then(|| outside(hits)),
        }
    }

    fn head_losses(
        &self,
        hidden: Tensor<3>,
        head: Head,
        targets: Tensor<2, Int>,
        with_hits: bool,
    ) -> TokenLosses {
        let Some(targets) = ids(targets.clone()) else {
            return composed::head_losses(hidden, head, targets, with_hits);
        };
        let scored = cross_entropy::losses(cross_entropy::Head {
            hidden: &head::tokens(constant(hidden)),
            matrix: &constant(head.matrix),
            tied: head.operation.tied,
            targets: &targets,
        });
        TokenLosses {
            losses: outside(scored.nll),
            hits: with_hits.then(|| outside(scored.hits)),
        }
    }
}

impl Access for Cube {
    type View<'a> = CubeTensor;
    type Made = CubeTensor;

    fn readable(x: &FloatTensor<Self>) -> FloatTensor<Self> {
        primitive::readable(x)
    }

    fn view(x: &FloatTensor<Self>) -> CubeTensor {
        primitive::float(x.clone())
    }

    fn made(values: CubeTensor, shape: Shape) -> FloatTensor<Self> {
        primitive::made(reshaped(values, shape))
    }
}

fn residual(node: ResidualNorm, x: Tensor<3>, y: Tensor<3>, scale: Option<Tensor<1>>) -> Tensor<3> {
    let shape = x.dims();
    let operands = ResidualNormTensors {
        x: x.into_dispatch(),
        y: y.into_dispatch(),
        scale: scale.map(Tensor::into_dispatch),
    };
    graph::apply::<Cube, _, 3, 3>(node, operands, shape).0
}

/// Returns a tensor as a constant, whether it is in the graph or not.
fn constant<const D: usize>(x: Tensor<D>) -> CubeTensor {
    let x = graph::plain::<Cube>(x.without_autodiff().into_dispatch());
    primitive::float(x)
}

/// Returns the elements of an integer tensor where they are of the type that kernels read.
fn ids(x: Tensor<2, Int>) -> Option<CubeTensor> {
    // In the graph or not: integers have no gradient.
    let DispatchTensorKind::Cube(x) = x.into_dispatch().kind else {
        return None;
    };
    let x = primitive::int(x.int());
    cross_entropy::takes(&x).then_some(x)
}

/// Returns a vector outside the graph.
fn outside(x: CubeTensor) -> Tensor<1> {
    Tensor::from_primitive::<Cube>(primitive::made(x))
}

#[cfg(test)]
mod tests;
