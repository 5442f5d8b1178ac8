//! The running average of the outputs of iterations.

use burn::tensor::Tensor;
use burn::tensor::activation::softplus;
use rondo_kernels::average::{BlendTensors, EPS, Forgetting, Total, TotalTensors};
use rondo_kernels::norm::Norm;

use crate::ops::Operations;

/// See [`Operations::total`].
pub(crate) fn total<O: Operations + ?Sized>(
    ops: &O,
    total: Total,
    tensors: TotalTensors<Tensor<3>, Tensor<1>>,
) -> Tensor<3> {
    let TotalTensors {
        z,
        past,
        query,
        beta,
    } = tensors;
    let score = score(ops, z, query);
    let Some(past) = past else {
        return score;
    };
    let weighed = match (total.forgetting, beta) {
        (Forgetting::Fixed(beta), _) => past + beta.ln(),
        (Forgetting::Learned, beta) => {
            let beta: Tensor<3> = beta.expect("a learned β has its number").unsqueeze();
            past - softplus(-beta, 1.0)
        }
    };
    score.clone() + softplus(weighed - score, 1.0)
}

/// See [`Operations::blend`].
pub(crate) fn blend<O: Operations + ?Sized>(
    ops: &O,
    tensors: BlendTensors<Tensor<3>, Tensor<1>>,
) -> Tensor<3> {
    let BlendTensors {
        z,
        average,
        total,
        query,
    } = tensors;
    let share = (score(ops, z.clone(), query) - total).exp();
    average.clone() + (z - average) * share
}

/// Returns `⟨q, z⟩ / rms(z)`, `[batch, seq, 1]`.
fn score<O: Operations + ?Sized>(ops: &O, z: Tensor<3>, query: Tensor<1>) -> Tensor<3> {
    let query: Tensor<3> = query.unsqueeze();
    (ops.norm(Norm { eps: EPS }, z, None) * query).sum_dim(2)
}
