//! The kernels of `rondo-cube` as operations, for f32 on a GPU.

mod attention;
mod embedding;
mod gated;
mod head;
mod norm;
mod product;
mod self_attention;

use burn::backend::DispatchTensorKind;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Int, Shape, Tensor};
use rondo_cube::cross_entropy;
use rondo_cube::heads::Layout;
use rondo_cube::primitive::{self, Cube};
use rondo_cube::tensor::{CubeTensor, reshaped};
use rondo_kernels::attention::Pairing;
use rondo_kernels::norm::Norm;
use rondo_kernels::product::Precision;
use rondo_kernels::self_attention::SelfAttention;
use rondo_kernels::sublayer::Sublayer;

pub(super) use self::attention::SoftmaxAttention;
use self::embedding::Embedding;
use self::gated::GatedHalves;
use self::head::CrossEntropy;
pub(super) use self::norm::ResidualNorm;
pub(super) use self::self_attention::RotatedAttention;
use super::graph::{self, Access};
use super::operands::{Factors, HeadTensors, Heads, Lone, NormTensors, Qkv, ResidualNormTensors};
use super::{
    AttentionHeads, AttentionTensors, AttentionWeights, Head, HeadLoss, Operations, Product, Rope,
    TokenLosses, composed,
};
use crate::gates::OpenEdges;

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

    fn product(&self, product: Product, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        multiplied(product, a, b)
    }

    fn products(&self, product: Product, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
        multiplied(product, a, b)
    }

    fn softmax_attention(
        &self,
        // Both products of attention are in f32, which satisfies every precision.
        _: Precision,
        heads: AttentionHeads,
        is_causal: bool,
    ) -> Tensor<4> {
        let shape = heads.queries.dims();
        let node = SoftmaxAttention { is_causal };
        let operands = Heads {
            queries: heads.queries.into_dispatch(),
            keys: heads.keys.into_dispatch(),
            values: heads.values.into_dispatch(),
        };
        graph::apply::<Cube, _, 3, 4>(node, operands, shape).0
    }

    fn attention(
        &self,
        sublayer: &Sublayer<SelfAttention>,
        tensors: AttentionTensors,
        rope: &Rope,
    ) -> (Tensor<3>, Option<OpenEdges>) {
        let attention = &sublayer.branch;
        composed::around(self, sublayer, tensors, |x, weights| {
            let firsts = rope.firsts().map(ids);
            match (has_kernel(attention, &weights, rope), firsts) {
                (true, None) => (attended(attention, weights, rope, None, x), None),
                (true, Some(Some(firsts))) => {
                    (attended(attention, weights, rope, Some(firsts), x), None)
                }
                _ => composed::attention(self, attention, weights, rope, &x),
            }
        })
    }

    fn gated_projection(
        &self,
        precision: Precision,
        x: Tensor<3>,
        in_proj: Tensor<2>,
    ) -> Tensor<3> {
        let halves = composed::project(self, precision, x, in_proj);
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
            return composed::head_cross_entropy(self, hidden, head, targets, weights, with_hits);
        };
        let node = CrossEntropy {
            operation: head.operation,
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
            return composed::head_losses(self, hidden, head, targets, with_hits);
        };
        let scored = cross_entropy::losses(cross_entropy::Head {
            hidden: &head::tokens(constant(hidden)),
            matrix: &constant(head.matrix),
            tied: head.operation.tied,
            targets: &targets,
            precision: head.operation.precision,
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

/// Returns whether the kernel supports this attention: no gates, rotation of adjacent pairs, no
/// norm of queries and keys, and no bias of values.
fn has_kernel(
    attention: &SelfAttention,
    weights: &AttentionWeights<Tensor<2>, Tensor<1>>,
    rope: &Rope,
) -> bool {
    let heads = attention.heads;
    let biased = weights.qk_bias.as_ref().map_or(0, |bias| bias.dims()[0]);
    attention.gate.is_none()
        && attention.qk_norm.is_none()
        && rope.pairing() == Pairing::Adjacent
        && biased <= heads.queries + heads.keys
}

/// Computes attention without gates and without norms of queries and keys. `firsts` holds the
/// position at which the segment of each token starts; `None` if rows are not divided.
fn attended(
    attention: &SelfAttention,
    weights: AttentionWeights<Tensor<2>, Tensor<1>>,
    rope: &Rope,
    firsts: Option<CubeTensor>,
    x: Tensor<3>,
) -> Tensor<3> {
    let [batch, seq, _] = x.dims();
    let (heads, precision) = (attention.heads, attention.precision);
    let [cos, sin] = rope.on_device().map(constant);
    let node = RotatedAttention {
        layout: Layout {
            batch,
            seq,
            queries: heads.queries,
            keys: heads.keys,
            d_head: heads.d_head,
        },
        cos,
        sin,
        firsts,
    };
    let operands = Qkv {
        qkv: composed::project(&CubeKernels, precision, x, weights.qkv).into_dispatch(),
        bias: weights.qk_bias.map(Tensor::into_dispatch),
    };
    let shape = [batch, seq, heads.queries * heads.d_head];
    let joined = graph::apply::<Cube, _, 2, 3>(node, operands, shape).0;
    composed::project(&CubeKernels, precision, joined, weights.proj)
}

fn multiplied<const D: usize>(product: Product, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let mut shape = a.dims();
    let columns = if product.transposed { D - 2 } else { D - 1 };
    shape[D - 1] = b.dims()[columns];
    let operands = Factors {
        a: a.into_dispatch(),
        b: b.into_dispatch(),
    };
    graph::apply::<Cube, _, 2, D>(product, operands, shape).0
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

/// Returns a tensor as a constant, whether or not it is in the graph.
fn constant<const D: usize>(x: Tensor<D>) -> CubeTensor {
    let x = graph::plain::<Cube>(x.without_autodiff().into_dispatch());
    primitive::float(x)
}

/// Returns the elements of an integer tensor if the kernels can read their type.
fn ids(x: Tensor<2, Int>) -> Option<CubeTensor> {
    // The tensor may also be in the graph, because integers have no gradient.
    let DispatchTensorKind::Cube(x) = x.into_dispatch().kind else {
        return None;
    };
    let x = primitive::int(x.int());
    cross_entropy::takes(&x).then_some(x)
}

/// Returns `x` as a vector outside the graph.
fn outside(x: CubeTensor) -> Tensor<1> {
    Tensor::from_primitive::<Cube>(primitive::made(x))
}

#[cfg(test)]
mod tests;
