//! A branch with its norms and its residual connection.

use burn::tensor::Tensor;
use rondo_kernels::sublayer::{After, Sublayer, SublayerTensors};

use crate::ops::Operations;

/// Applies norms and residual connection around any branch. Also returns the second result of the
/// branch.
///
/// # Shapes
///
/// `x`: `[batch, seq, d_model]` to the same.
pub(crate) fn around<O: Operations + ?Sized, B, W, S>(
    ops: &O,
    sublayer: &Sublayer<B>,
    tensors: SublayerTensors<Tensor<3>, W, Tensor<1>>,
    branch: impl FnOnce(Tensor<3>, W) -> (Tensor<3>, S),
) -> (Tensor<3>, S) {
    let SublayerTensors {
        x,
        before,
        after,
        branch: weights,
    } = tensors;
    let input = match sublayer.before {
        Some(norm) => ops.norm(norm, x.clone(), before),
        None => x.clone(),
    };
    let (y, second) = branch(input, weights);
    let y = match sublayer.after {
        After::Sum => x + y,
        After::NormOfSum(norm) => ops.norm_of_sum(norm, x, y, after),
        After::NormOfBranch(norm) => ops.sum_with_norm(norm, x, y, after),
    };
    (y, second)
}
