//! The kernels of `rondo-kernels` as operations, for f32 tensors on flex. Such tensors are in the
//! memory of this process.

mod between;
mod head;
mod norm;
mod projection;
mod sublayer;

use burn::backend::tensor::FloatTensor;
use burn::backend::{DispatchTensor, Flex, TensorMetadata};
use burn::tensor::{Int, Shape, Tensor, TensorData};
use rondo_kernels::average::{Blend, BlendTensors, Total, TotalTensors};
use rondo_kernels::cross_entropy;
use rondo_kernels::feed_forward::{FeedForward, FeedForwardWeights};
use rondo_kernels::injection::channels::{Channels, ChannelsTensors};
use rondo_kernels::injection::history::{Difference, DifferenceTensors};
use rondo_kernels::injection::mix::{Mix, MixTensors};
use rondo_kernels::injection::orthogonal::{Orthogonal, OrthogonalTensors};
use rondo_kernels::lanes::{LaneMix, LaneMixTensors};
use rondo_kernels::matrix::Matrix;
use rondo_kernels::norm::Norm;
use rondo_kernels::projection::{Projection, ProjectionTensors};
use rondo_kernels::self_attention::{AttentionWeights, SelfAttention};
use rondo_kernels::sublayer::{Sublayer, SublayerTensors};

use self::head::CrossEntropy;
use self::sublayer::AttentionNode;
use super::graph::{self, Access};
use super::operands::{HeadTensors, NormTensors};
use super::{AttentionTensors, FeedForwardTensors, Head, HeadLoss, Operations, Rope, TokenLosses};
use crate::gates::OpenEdges;

/// The backend of the kernels.
pub(super) struct Kernels;

impl Operations for Kernels {
    fn norm(&self, norm: Norm, x: Tensor<3>, scale: Option<Tensor<1>>) -> Tensor<3> {
        let shape = x.dims();
        let operands = NormTensors {
            x: x.into_dispatch(),
            scale: scale.map(Tensor::into_dispatch),
        };
        graph::apply::<Flex, _, 2, 3>(norm, operands, shape).0
    }

    fn project(
        &self,
        projection: Projection,
        tensors: ProjectionTensors<Tensor<3>, Tensor<2>>,
    ) -> Tensor<3> {
        let ([batch, seq, _], [_, d_out]) = (tensors.x.dims(), tensors.weight.dims());
        let operands = ProjectionTensors {
            x: tensors.x.into_dispatch(),
            weight: tensors.weight.into_dispatch(),
            base: tensors.base.map(Tensor::into_dispatch),
        };
        graph::apply::<Flex, _, 3, 3>(projection, operands, [batch, seq, d_out]).0
    }

    fn channels(
        &self,
        channels: Channels,
        tensors: ChannelsTensors<Tensor<3>, Tensor<1>>,
    ) -> Tensor<3> {
        let shape = tensors.x.dims();
        let operands = ChannelsTensors {
            x: tensors.x.into_dispatch(),
            base: tensors.base.map(Tensor::into_dispatch),
            a_log: tensors.a_log.into_dispatch(),
            dt_bias: tensors.dt_bias.into_dispatch(),
        };
        graph::apply::<Flex, _, 4, 3>(channels, operands, shape).0
    }

    fn orthogonal(&self, tensors: OrthogonalTensors<Tensor<3>, Tensor<1>>) -> Tensor<3> {
        let shape = tensors.x.dims();
        let operands = OrthogonalTensors {
            x: tensors.x.into_dispatch(),
            update: tensors.update.into_dispatch(),
            a_log: tensors.a_log.into_dispatch(),
            dt_bias: tensors.dt_bias.into_dispatch(),
        };
        graph::apply::<Flex, _, 4, 3>(Orthogonal, operands, shape).0
    }

    fn total(&self, total: Total, tensors: TotalTensors<Tensor<3>, Tensor<1>>) -> Tensor<3> {
        let [batch, seq, _] = tensors.z.dims();
        let operands = TotalTensors {
            z: tensors.z.into_dispatch(),
            past: tensors.past.map(Tensor::into_dispatch),
            query: tensors.query.into_dispatch(),
            beta: tensors.beta.map(Tensor::into_dispatch),
        };
        graph::apply::<Flex, _, 4, 3>(total, operands, [batch, seq, 1]).0
    }

    fn blend(&self, tensors: BlendTensors<Tensor<3>, Tensor<1>>) -> Tensor<3> {
        let shape = tensors.z.dims();
        let operands = BlendTensors {
            z: tensors.z.into_dispatch(),
            average: tensors.average.into_dispatch(),
            total: tensors.total.into_dispatch(),
            query: tensors.query.into_dispatch(),
        };
        graph::apply::<Flex, _, 4, 3>(Blend, operands, shape).0
    }

    fn mix_lanes(&self, mix: LaneMix, tensors: LaneMixTensors<Tensor<3>, Tensor<2>>) -> Tensor<3> {
        let [batch, seq, all] = tensors.lanes.dims();
        let operands = LaneMixTensors {
            lanes: tensors.lanes.into_dispatch(),
            fresh: tensors.fresh.map(Tensor::into_dispatch),
            weights: tensors.weights.into_dispatch(),
            gains: tensors.gains.map(Tensor::into_dispatch),
        };
        let shape = [batch, seq, all / mix.lanes * mix.sums];
        graph::apply::<Flex, _, 4, 3>(mix, operands, shape).0
    }

    fn mix(&self, mix: Mix, tensors: MixTensors<Tensor<3>, Tensor<1>>) -> Tensor<3> {
        let shape = tensors.x.dims();
        let operands = MixTensors {
            x: tensors.x.into_dispatch(),
            embedding: tensors.embedding.into_dispatch(),
            alpha: tensors.alpha.into_dispatch(),
        };
        graph::apply::<Flex, _, 3, 3>(mix, operands, shape).0
    }

    fn difference(
        &self,
        difference: Difference,
        tensors: DifferenceTensors<Tensor<3>, Tensor<2>>,
    ) -> Tensor<3> {
        let shape = tensors.x.dims();
        let operands = DifferenceTensors {
            x: tensors.x.into_dispatch(),
            past: tensors.past.into_dispatch(),
            base: tensors.base.map(Tensor::into_dispatch),
            coefficients: tensors.coefficients.into_dispatch(),
        };
        graph::apply::<Flex, _, 4, 3>(difference, operands, shape).0
    }

    fn attention(
        &self,
        sublayer: &Sublayer<SelfAttention>,
        tensors: AttentionTensors,
        rope: &Rope,
    ) -> (Tensor<3>, Option<OpenEdges>) {
        let shape = tensors.x.dims();
        let [batch, seq, _] = shape;
        let node = AttentionNode {
            sublayer: *sublayer,
            sequences: [batch, seq],
            angles: rope.on_host(),
            segments: rope.segments().cloned(),
        };
        let operands = dispatched(tensors, |weights| AttentionWeights {
            qkv: weights.qkv.into_dispatch(),
            qk_bias: weights.qk_bias.map(Tensor::into_dispatch),
            q_norm: weights.q_norm.map(Tensor::into_dispatch),
            k_norm: weights.k_norm.map(Tensor::into_dispatch),
            gate_bias: weights.gate_bias.map(Tensor::into_dispatch),
            proj: weights.proj.into_dispatch(),
        });
        let (y, openness) = graph::apply::<Flex, _, 9, 3>(node, operands, shape);
        let open = openness.map(|openness| OpenEdges::Node {
            expected: openness.density(),
            hard: openness.open_share(),
        });
        (y, open)
    }

    fn feed_forward(
        &self,
        sublayer: &Sublayer<FeedForward>,
        tensors: FeedForwardTensors,
    ) -> Tensor<3> {
        let shape = tensors.x.dims();
        let operands = dispatched(tensors, |weights| FeedForwardWeights {
            in_proj: weights.in_proj.into_dispatch(),
            out_proj: weights.out_proj.into_dispatch(),
        });
        graph::apply::<Flex, _, 5, 3>(*sublayer, operands, shape).0
    }

    fn head_cross_entropy(
        &self,
        hidden: Tensor<3>,
        head: Head,
        targets: Tensor<2, Int>,
        weights: Option<Tensor<2>>,
        with_hits: bool,
    ) -> HeadLoss {
        let node = CrossEntropy {
            head: head.operation,
            targets: ids(targets),
            weights: weights.map(constant),
        };
        let operands = HeadTensors {
            hidden: hidden.into_dispatch(),
            matrix: head.matrix.into_dispatch(),
        };
        let (loss, hits) = graph::apply::<Flex, _, 2, 1>(node, operands, [1]);
        HeadLoss {
            loss,
            hits: with_hits.then(|| vector(hits)),
        }
    }

    fn head_losses(
        &self,
        hidden: Tensor<3>,
        head: Head,
        targets: Tensor<2, Int>,
        with_hits: bool,
    ) -> TokenLosses {
        let (hidden, matrix) = (constant(hidden), constant(head.matrix));
        let (hidden, matrix) = (Flex::view(&hidden), Flex::view(&matrix));
        let scored = cross_entropy::losses(head.operation, hidden, matrix, &ids(targets));
        TokenLosses {
            losses: vector(scored.nll),
            hits: with_hits.then(|| vector(scored.hits)),
        }
    }
}

impl Access for Flex {
    /// A matrix whose rows hold the elements along the last axis.
    type View<'a> = Matrix<'a>;
    type Made = Vec<f32>;

    fn readable(x: &FloatTensor<Self>) -> FloatTensor<Self> {
        x.to_contiguous()
    }

    fn view(x: &FloatTensor<Self>) -> Matrix<'_> {
        let elements: &[f32] = x.as_slice().expect("a contiguous f32 tensor is a slice");
        let width = x.shape().last().copied().unwrap_or(1);
        Matrix::new(elements, elements.len() / width, width)
    }

    fn made(values: Vec<f32>, shape: Shape) -> FloatTensor<Self> {
        FloatTensor::<Self>::from_data(TensorData::new(values, shape))
    }
}

fn dispatched<W, D>(
    tensors: SublayerTensors<Tensor<3>, W, Tensor<1>>,
    weights: impl FnOnce(W) -> D,
) -> SublayerTensors<DispatchTensor, D> {
    SublayerTensors {
        x: tensors.x.into_dispatch(),
        before: tensors.before.map(Tensor::into_dispatch),
        after: tensors.after.map(Tensor::into_dispatch),
        branch: weights(tensors.branch),
    }
}

/// Returns a tensor as a constant, whether or not it is in the graph.
fn constant<const D: usize>(x: Tensor<D>) -> FloatTensor<Flex> {
    Flex::readable(&graph::plain::<Flex>(x.without_autodiff().into_dispatch()))
}

/// Returns the elements of an integer tensor.
fn ids(x: Tensor<2, Int>) -> Vec<i32> {
    x.into_data().iter::<i32>().collect()
}

/// Returns numbers as a vector outside the graph.
fn vector(values: Vec<f32>) -> Tensor<1> {
    let shape = Shape::from([values.len()]);
    Tensor::from_primitive::<Flex>(Flex::made(values, shape))
}
