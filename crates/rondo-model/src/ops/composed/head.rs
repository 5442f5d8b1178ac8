//! The head and the cross entropy of its predictions, computed from all logits.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

use crate::ops::{Head, HeadLoss, Operations, Product, TokenLosses};

/// See [`crate::ops::head_cross_entropy`].
pub(crate) fn head_cross_entropy<O: Operations + ?Sized>(
    ops: &O,
    hidden: Tensor<3>,
    head: Head,
    targets: Tensor<2, Int>,
    weights: Option<Tensor<2>>,
    with_hits: bool,
) -> HeadLoss {
    let TokenLosses { losses, hits } = head_losses(ops, hidden, head, targets, with_hits);
    let loss = match weights {
        None => losses.mean(),
        Some(weights) => {
            let weights: Tensor<1> = weights.reshape(losses.shape());
            (losses * weights.clone()).sum() / weights.sum()
        }
    };
    HeadLoss { loss, hits }
}

/// See [`crate::ops::head_losses`].
pub(crate) fn head_losses<O: Operations + ?Sized>(
    ops: &O,
    hidden: Tensor<3>,
    head: Head,
    targets: Tensor<2, Int>,
    with_hits: bool,
) -> TokenLosses {
    let logits = logits(ops, hidden, head);
    let [batch, seq, vocab] = logits.dims();
    let tokens = batch * seq;
    let logits: Tensor<2> = logits.reshape([tokens, vocab]);
    let targets: Tensor<1, Int> = targets.reshape([tokens]);
    let hits = with_hits.then(|| {
        let best: Tensor<1, Int> = logits
            .clone()
            .without_autodiff()
            .argmax(1)
            .reshape([tokens]);
        best.equal(targets.clone()).float()
    });
    TokenLosses {
        losses: negative_log_likelihood(logits, targets),
        hits,
    }
}

/// See [`crate::ops::head_logits`].
pub(crate) fn logits<O: Operations + ?Sized>(ops: &O, hidden: Tensor<3>, head: Head) -> Tensor<3> {
    let [batch, seq, width] = hidden.dims();
    let tokens = hidden.reshape([batch * seq, width]);
    let product = Product {
        precision: head.operation.precision,
        transposed: head.operation.tied,
    };
    let logits = ops.product(product, tokens, head.matrix);
    let [_, vocab] = logits.dims();
    logits.reshape([batch, seq, vocab])
}

/// Returns the negative log likelihood of each target under `softmax(logits)`, in nats.
///
/// # Shapes
///
/// `logits`: `[tokens, vocab]`; `targets`: `[tokens]`; returns `[tokens]`.
fn negative_log_likelihood(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [tokens, _] = logits.dims();
    let log_probabilities = log_softmax(logits, 1);
    log_probabilities
        .gather(1, targets.reshape([tokens, 1]))
        .reshape([tokens])
        .neg()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn uniform_logits_cost_the_log_of_the_vocabulary() {
        let device = Device::flex();
        let logits = Tensor::<2>::zeros([2, 8], &device);
        let targets = Tensor::<1, Int>::from_data([0, 7], &device);
        let losses = negative_log_likelihood(logits, targets).into_data();
        for nll in losses.iter::<f32>() {
            assert!((nll - 8.0_f32.ln()).abs() < 1e-6);
        }
    }
}
