//! The gated MLP.

use burn::tensor::Tensor;
use burn::tensor::activation::silu;
use rondo_kernels::feed_forward::FeedForwardWeights;
use rondo_kernels::product::Precision;

use super::projection::{project, project_columns};
use crate::ops::Operations;

/// See [`Operations::gated_silu`].
pub(crate) fn gated_silu(a: Tensor<3>, b: Tensor<3>) -> Tensor<3> {
    silu(a) * b
}

/// See [`Operations::gated_projection`].
pub(crate) fn gated_projection<O: Operations + ?Sized>(
    ops: &O,
    precision: Precision,
    x: Tensor<3>,
    in_proj: Tensor<2>,
) -> Tensor<3> {
    let [_, both] = in_proj.dims();
    let d_ff = both / 2;
    let a = project_columns(ops, precision, x.clone(), in_proj.clone(), 0..d_ff);
    let b = project_columns(ops, precision, x, in_proj, d_ff..both);
    ops.gated_silu(a, b)
}

/// Applies the MLP to every token, without norms and residual connection.
///
/// # Shapes
///
/// `[batch, seq, d_in]` to `[batch, seq, d_out]`.
pub(crate) fn feed_forward<O: Operations + ?Sized>(
    ops: &O,
    precision: Precision,
    weights: FeedForwardWeights<Tensor<2>>,
    x: Tensor<3>,
) -> Tensor<3> {
    let FeedForwardWeights { in_proj, out_proj } = weights;
    let gated = ops.gated_projection(precision, x, in_proj);
    project(ops, precision, gated, out_proj)
}
