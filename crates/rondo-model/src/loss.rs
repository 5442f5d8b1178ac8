//! Next-token cross entropy.

use burn::tensor::{Int, Tensor};

use crate::ops;

/// Mean negative log likelihood in nats over the positions of weight 1.
///
/// # Shapes
///
/// `logits`: `[batch, seq, vocab]`; `targets`: `[batch, seq]`; `weights`: `[batch, seq]`, 1 where
/// the loss counts and 0 elsewhere, or none where every position counts. Returns `[1]`.
pub fn cross_entropy(
    logits: Tensor<3>,
    targets: Tensor<2, Int>,
    weights: Option<Tensor<2>>,
) -> Tensor<1> {
    let [batch, seq, vocab] = logits.dims();
    let tokens = batch * seq;
    let losses =
        ops::negative_log_likelihood(logits.reshape([tokens, vocab]), targets.reshape([tokens]));
    match weights {
        None => losses.mean(),
        Some(weights) => {
            let weights: Tensor<1> = weights.reshape([tokens]);
            (losses * weights.clone()).sum() / weights.sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn positions_of_weight_zero_do_not_count() {
        let device = Device::flex();
        let logits = Tensor::<3>::from_data([[[9.0, 0.0], [0.0, 9.0]]], &device);
        let targets = Tensor::<2, Int>::from_data([[0, 0]], &device);
        let weights = Tensor::<2>::from_data([[1.0, 0.0]], &device);
        let right: f32 =
            cross_entropy(logits.clone(), targets.clone(), Some(weights)).into_scalar();
        let both: f32 = cross_entropy(logits, targets, None).into_scalar();
        assert!(right < 1e-3);
        assert!((both - (right + 9.0 + right) / 2.0).abs() < 1e-3);
    }
}
