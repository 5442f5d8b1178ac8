//! The loss of one token, computed from its logits, and the gradient, which replaces the logits.

use crate::vector::{exp, maximum, sum_of};

/// The number of terms that are added in f32. The sums of these blocks are added in f64.
const BLOCK: usize = 256;

/// The loss of one token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RowLoss {
    /// Negative log likelihood of the target, in nats.
    pub(super) nll: f32,
    /// 1 if the target is the first of the largest logits, else 0.
    pub(super) hit: f32,
}

/// The position of the target's logit relative to the other logits.
struct Standing {
    /// The largest logit minus the logit of the target.
    behind: f64,
    /// Whether the target is the first of the largest logits.
    first: bool,
}

impl Standing {
    #[inline(always)]
    fn new(logits: &[f32], target: usize, largest: f32) -> Self {
        let logit = logits[target];
        Self {
            behind: f64::from(largest) - f64::from(logit),
            first: logit >= largest && logits[..target].iter().all(|x| *x < largest),
        }
    }

    /// Returns the loss, given `Σⱼ e^(lⱼ − largest)`.
    fn loss(&self, sum: f64) -> RowLoss {
        let nll = (self.behind + sum.ln()) as f32;
        RowLoss {
            nll,
            hit: f32::from(self.first && !nll.is_nan()),
        }
    }
}

/// Returns the loss of a token with these logits.
#[inline(always)]
pub(super) fn loss(logits: &[f32], target: usize) -> RowLoss {
    let largest = maximum(logits);
    // The exponentials are written to memory first: the compiler vectorises a loop that only
    // writes, but not a loop that also sums.
    let mut powers = [0.0; BLOCK];
    let mut sum = 0.0;
    for block in logits.chunks(BLOCK) {
        let powers = &mut powers[..block.len()];
        for (power, x) in powers.iter_mut().zip(block) {
            *power = exp(*x - largest);
        }
        sum += f64::from(sum_of(powers, |e| e));
    }
    Standing::new(logits, target, largest).loss(sum)
}

/// Returns the loss of a token and overwrites its logits with `(softmax − onehot) · share`.
#[inline(always)]
pub(super) fn loss_and_gradient(logits: &mut [f32], target: usize, share: f64) -> RowLoss {
    let largest = maximum(logits);
    let standing = Standing::new(logits, target, largest);
    logits.iter_mut().for_each(|x| *x = exp(*x - largest));
    let mut sum = 0.0;
    for block in logits.chunks(BLOCK) {
        sum += f64::from(sum_of(block, |e| e));
    }
    let scale = (share / sum) as f32;
    logits.iter_mut().for_each(|e| *e *= scale);
    logits[target] -= share as f32;
    standing.loss(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(logits: &[f32], target: usize, nll: f64, hit: f32) {
        let mut gradient = logits.to_vec();
        let found = loss(logits, target);
        assert_eq!(found, loss_and_gradient(&mut gradient, target, 1.0));
        assert!((f64::from(found.nll) - nll).abs() < 1e-6, "{found:?}");
        assert!((found.hit - hit).abs() < f32::EPSILON, "{found:?}");
        assert!(gradient.iter().sum::<f32>().abs() < 1e-6);
    }

    #[test]
    fn two_equal_logits_cost_ln_2_and_the_first_is_the_hit() {
        check(&[7.0, 7.0], 0, 2.0_f64.ln(), 1.0);
        check(&[7.0, 7.0], 1, 2.0_f64.ln(), 0.0);
    }

    #[test]
    fn odds_of_three_to_one_can_be_redone_by_hand() {
        let three = 3.0_f32.ln();
        check(&[0.0, three], 0, 4.0_f64.ln(), 0.0);
        check(&[0.0, three], 1, (4.0_f64 / 3.0).ln(), 1.0);
        let mut gradient = [0.0, three];
        loss_and_gradient(&mut gradient, 1, 0.5);
        assert!((gradient[0] - 0.125).abs() < 1e-7 && (gradient[1] + 0.125).abs() < 1e-7);
    }

    #[test]
    fn logits_far_apart_stay_finite() {
        check(&[1e4, -1e4, 0.0], 0, 0.0, 1.0);
        check(&[1e4, -1e4, 0.0], 1, 2e4, 0.0);
        check(&[-1e4, -1e4], 1, 2.0_f64.ln(), 0.0);
        check(&[0.0, f32::NEG_INFINITY], 0, 0.0, 1.0);
    }

    #[test]
    fn what_is_not_a_number_makes_the_loss_and_the_gradient_none() {
        for stranger in [f32::NAN, f32::INFINITY] {
            for at in [0, 3, 20] {
                let mut logits: Vec<f32> = (0..21).map(|i| i as f32).collect();
                logits[at] = stranger;
                let found = loss(&logits, 20);
                assert!(found.nll.is_nan() && found.hit == 0.0, "{stranger} at {at}");
                assert!(loss_and_gradient(&mut logits, 20, 1.0).nll.is_nan());
                assert!(logits.iter().any(|x| x.is_nan()));
            }
        }
        let impossible = loss(&[0.0, f32::NEG_INFINITY], 1);
        assert!(impossible.nll == f32::INFINITY);
        assert!(loss(&[f32::NEG_INFINITY; 2], 1).nll.is_nan());
    }
}
