//! Adaptive depth at inference: criteria to stop iterating.
//!
//! | criterion | value after iteration t | exits if | default |
//! |---|---|---|---|
//! | entropy-diff | \|H(p_t) − H(p_{t−1})\|, H_0 = 100 | below | 1e-3 |
//! | latent-diff | ‖s_t − s_{t−1}‖ / ‖s_t‖ | below | 0.03 |
//! | kl | Σ p_{t−1} (ln p_{t−1} − ln p_t), p_0 uniform | below | 1e-3 |
//! | minp-kl | kl of p with every p < 0.1·max p set to 1/V and renormalised | below | 1e-5 |
//! | argmax-stability | number of iterations with an unchanged argmax p_t | at least | 5 |
//! | cosine | 1 − cos(s_t, s_{t−1}) | below | 1e-3 |
//!
//! A token exits if its value is below the threshold, or for argmax-stability at least the
//! threshold. The last column has the default thresholds. s_t is the raw state, p_t the prediction
//! of coda and head from n_f(s_t), and H(p_t) the entropy of p_t in nats. A value that is not
//! defined, such as the cosine with a zero state, is NaN, and the token does not exit. The source
//! is Geiping et al. 2025, arXiv 2502.05171, §6.1; the defaults are those of its reference
//! implementation.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Int, Tensor};
use serde::Serialize;

use crate::ops::length;

/// The entropy H_0 before the first iteration, in nats.
const FIRST_ENTROPY: f64 = 100.0;
/// minp-kl replaces a probability by 1/V if it is below this fraction of the largest probability.
const MIN_P: f64 = 0.1;

/// The quantity that decides whether a token's state has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCriterion {
    /// The change of the prediction's entropy, in nats.
    EntropyDiff,
    /// The relative change of the raw state.
    LatentDiff,
    /// The divergence between the previous prediction and this one, in nats.
    Kl,
    /// Like `Kl`, after small probabilities are replaced by 1/V, in nats.
    MinpKl,
    /// The number of consecutive iterations with the same most likely token.
    ArgmaxStability,
    /// One minus the cosine between the raw state and the previous one.
    Cosine,
}

impl ExitCriterion {
    /// Every criterion.
    pub const ALL: [Self; 6] = [
        Self::EntropyDiff,
        Self::LatentDiff,
        Self::Kl,
        Self::MinpKl,
        Self::ArgmaxStability,
        Self::Cosine,
    ];

    /// Returns the criterion's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::EntropyDiff => "entropy-diff",
            Self::LatentDiff => "latent-diff",
            Self::Kl => "kl",
            Self::MinpKl => "minp-kl",
            Self::ArgmaxStability => "argmax-stability",
            Self::Cosine => "cosine",
        }
    }

    /// Returns the threshold of the reference implementation.
    pub fn default_threshold(self) -> f64 {
        match self {
            Self::EntropyDiff | Self::Kl | Self::Cosine => 1e-3,
            Self::LatentDiff => 0.03,
            Self::MinpKl => 1e-5,
            Self::ArgmaxStability => 5.0,
        }
    }

    /// Returns whether the criterion reads predictions rather than states.
    pub fn reads_logits(self) -> bool {
        match self {
            Self::EntropyDiff | Self::Kl | Self::MinpKl | Self::ArgmaxStability => true,
            Self::LatentDiff | Self::Cosine => false,
        }
    }

    /// Returns whether a token with this value exits.
    pub fn exits(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::ArgmaxStability => value >= threshold,
            _ => value < threshold,
        }
    }

    /// Returns which tokens with these values exit.
    ///
    /// # Shapes
    ///
    /// `[batch, seq]` to the same.
    pub fn exits_at(self, values: Tensor<2>, threshold: f64) -> Tensor<2, Bool> {
        match self {
            Self::ArgmaxStability => values.greater_equal_elem(threshold),
            _ => values.lower_elem(threshold),
        }
    }
}

/// Follows one criterion through the iterations of a forward pass.
#[derive(Clone, Debug)]
pub struct ExitMonitor(Memory);

/// The values of the previous iteration that a criterion needs.
#[derive(Clone, Debug)]
enum Memory {
    Entropy(Option<Tensor<2>>),
    /// `before` holds the log probabilities, `[batch, seq, vocab]`; `None` before the first
    /// iteration. `levelled` says whether small probabilities are replaced.
    Prediction {
        before: Option<Tensor<3>>,
        levelled: bool,
    },
    Argmax(Option<Box<Stable>>),
    State {
        before: Tensor<3>,
        measure: fn(Tensor<3>, Tensor<3>) -> Tensor<3>,
    },
}

/// The most likely token and the number of iterations for which it has not changed, `[batch, seq]`
/// each.
#[derive(Clone, Debug)]
struct Stable {
    token: Tensor<2, Int>,
    repeats: Tensor<2>,
}

impl ExitMonitor {
    /// Starts before the first iteration, at the initial state `[batch, seq, d_model]`.
    pub fn new(criterion: ExitCriterion, initial_state: Tensor<3>) -> Self {
        let state = |measure| Memory::State {
            before: initial_state,
            measure,
        };
        Self(match criterion {
            ExitCriterion::EntropyDiff => Memory::Entropy(None),
            ExitCriterion::Kl | ExitCriterion::MinpKl => Memory::Prediction {
                before: None,
                levelled: criterion == ExitCriterion::MinpKl,
            },
            ExitCriterion::ArgmaxStability => Memory::Argmax(None),
            ExitCriterion::LatentDiff => state(relative_change),
            ExitCriterion::Cosine => state(one_minus_cosine),
        })
    }

    /// Observes the next iteration and returns each token's value of the criterion.
    ///
    /// `logits` is called only if the criterion reads logits.
    ///
    /// # Shapes
    ///
    /// `state`: the raw s_t, `[batch, seq, d_model]`; logits: `[batch, seq, vocab]`; returns
    /// `[batch, seq]`.
    pub fn observe(&mut self, state: &Tensor<3>, logits: impl FnOnce() -> Tensor<3>) -> Tensor<2> {
        match &mut self.0 {
            Memory::Entropy(before) => {
                let log_p = log_softmax(logits(), 2);
                let entropy = per_token((log_p.clone().exp() * log_p).sum_dim(2).neg());
                let value = match before.take() {
                    Some(before) => entropy.clone() - before,
                    None => entropy.clone() - FIRST_ENTROPY,
                };
                *before = Some(entropy);
                value.abs()
            }
            Memory::Prediction { before, levelled } => {
                let mut log_p = log_softmax(logits(), 2);
                if *levelled {
                    log_p = level(log_p);
                }
                let [_, _, vocab] = log_p.dims();
                let value = match before.take() {
                    Some(old) => (old.clone().exp() * (old - log_p.clone())).sum_dim(2),
                    None => log_p.clone().mean_dim(2).neg() - (vocab as f64).ln(),
                };
                *before = Some(log_p);
                per_token(value)
            }
            Memory::Argmax(before) => {
                let [batch, seq, _] = state.dims();
                let token: Tensor<2, Int> = logits().argmax(2).reshape([batch, seq]);
                let repeats = match before.take() {
                    Some(old) => (old.repeats + 1.0) * token.clone().equal(old.token).float(),
                    None => Tensor::zeros([batch, seq], &state.device()),
                };
                *before = Some(Box::new(Stable {
                    token,
                    repeats: repeats.clone(),
                }));
                repeats
            }
            Memory::State { before, measure } => {
                let value = measure(before.clone(), state.clone());
                *before = state.clone();
                per_token(value)
            }
        }
    }
}

/// Drops the feature axis of length 1.
fn per_token(x: Tensor<3>) -> Tensor<2> {
    let [batch, seq, _] = x.dims();
    x.reshape([batch, seq])
}

/// Returns ‖after − before‖ / ‖after‖.
fn relative_change(before: Tensor<3>, after: Tensor<3>) -> Tensor<3> {
    length(after.clone() - before) / length(after)
}

/// Returns 1 − before·after / (‖before‖ ‖after‖).
fn one_minus_cosine(before: Tensor<3>, after: Tensor<3>) -> Tensor<3> {
    let lengths = length(before.clone()) * length(after.clone());
    ((before * after).sum_dim(2) / lengths).neg() + 1.0
}

/// Sets every probability below [`MIN_P`] times the largest one to 1/V, and renormalises.
fn level(log_p: Tensor<3>) -> Tensor<3> {
    let [_, _, vocab] = log_p.dims();
    let p = log_p.exp();
    let small = p.clone().lower(p.clone().max_dim(2) * MIN_P);
    let p = p.mask_fill(small, (vocab as f64).recip());
    (p.clone() / p.sum_dim(2)).log()
}

#[cfg(test)]
mod tests;
