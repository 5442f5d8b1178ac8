//! Adaptive depth at inference: when another iteration is not worth taking.
//!
//! | criterion | value after iteration t | exits where | default |
//! |---|---|---|---|
//! | entropy-diff | \|H(p_t) − H(p_{t−1})\|, H_0 = 100 | below | 1e-3 |
//! | latent-diff | ‖s_t − s_{t−1}‖ / ‖s_t‖ | below | 0.03 |
//! | kl | Σ p_{t−1} (ln p_{t−1} − ln p_t), p_0 uniform | below | 1e-3 |
//! | minp-kl | kl of p with every p < 0.1·max p set to 1/V and renormalised | below | 1e-5 |
//! | argmax-stability | iterations for which argmax p_t has stayed the same | at least | 5 |
//! | cosine | 1 − cos(s_t, s_{t−1}) | below | 1e-3 |
//!
//! s_t is the raw state, p_t the distribution of coda and head on n_f(s_t). A value that does not
//! exist (the cosine with a zero state) is NaN and does not exit. Geiping et al. 2025, arXiv
//! 2502.05171, §6.1, with the defaults of its reference implementation.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Int, Tensor};
use serde::Serialize;

/// The previous entropy before the first iteration, in nats.
const FIRST_ENTROPY: f64 = 100.0;
/// Share of the largest probability below which minp-kl levels a token.
const MIN_P: f64 = 0.1;

/// What is watched to decide that a token's state has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCriterion {
    /// Change of the entropy of the prediction, nats.
    EntropyDiff,
    /// Relative change of the raw state.
    LatentDiff,
    /// Divergence of the prediction from the one before, nats.
    Kl,
    /// The same without the tail of the distribution, nats.
    MinpKl,
    /// How often in a row the most likely token has stayed the same.
    ArgmaxStability,
    /// One minus the cosine of the raw state and the one before.
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

    /// Returns the name a user types.
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

    /// Returns whether the criterion looks at predictions and not at states.
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

    /// Returns where tokens with these values exit.
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

/// What a criterion remembers of the iteration before.
#[derive(Clone, Debug)]
enum Memory {
    Entropy(Option<Tensor<2>>),
    /// Log probabilities, `[batch, seq, vocab]`; none before the first iteration.
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

/// The likeliest token and how often in a row it has been that, `[batch, seq]` each.
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

    /// Takes in the next iteration and returns the value of each token.
    ///
    /// `logits` are asked for only where the criterion reads them.
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

/// ‖after − before‖ / ‖after‖.
fn relative_change(before: Tensor<3>, after: Tensor<3>) -> Tensor<3> {
    length(after.clone() - before) / length(after)
}

/// 1 − before·after / (‖before‖ ‖after‖).
fn one_minus_cosine(before: Tensor<3>, after: Tensor<3>) -> Tensor<3> {
    let lengths = length(before.clone()) * length(after.clone());
    ((before * after).sum_dim(2) / lengths).neg() + 1.0
}

fn length(x: Tensor<3>) -> Tensor<3> {
    x.square().sum_dim(2).sqrt()
}

/// Sets every probability below a share of the largest to 1/V and renormalises.
fn level(log_p: Tensor<3>) -> Tensor<3> {
    let [_, _, vocab] = log_p.dims();
    let p = log_p.exp();
    let small = p.clone().lower(p.clone().max_dim(2) * MIN_P);
    let p = p.mask_fill(small, (vocab as f64).recip());
    (p.clone() / p.sum_dim(2)).log()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn values(criterion: ExitCriterion, states: &[[f32; 2]], logits: &[[f32; 2]]) -> Vec<f32> {
        let tensor = |row: &[f32; 2]| {
            Tensor::<3>::from_data(TensorData::new(row.to_vec(), [1, 1, 2]), &Device::flex())
        };
        let mut monitor = ExitMonitor::new(criterion, tensor(&states[0]));
        states[1..]
            .iter()
            .zip(logits)
            .map(|(state, logits)| {
                monitor
                    .observe(&tensor(state), || tensor(logits))
                    .into_scalar::<f32>()
            })
            .collect()
    }

    #[test]
    fn states_are_compared_with_the_one_before() {
        let states = [[3.0, 4.0], [3.0, 0.0], [0.0, 2.0], [0.0, 4.0]];
        let none = [[0.0; 2]; 3];
        // ‖(0, −4)‖ / 3; ‖(−3, 2)‖ / 2; 2 / 4.
        let expected = [4.0 / 3.0, 13.0_f32.sqrt() / 2.0, 0.5];
        for (found, expected) in values(ExitCriterion::LatentDiff, &states, &none)
            .iter()
            .zip(expected)
        {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        for (found, expected) in values(ExitCriterion::Cosine, &states, &none)
            .iter()
            .zip([0.4, 1.0, 0.0])
        {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }

    #[test]
    fn a_zero_state_has_no_cosine_and_does_not_exit() {
        let found = values(
            ExitCriterion::Cosine,
            &[[0.0, 0.0], [1.0, 0.0]],
            &[[0.0; 2]],
        );
        assert!(found[0].is_nan());
        assert!(!ExitCriterion::Cosine.exits(f64::from(found[0]), 1e-3));
    }

    #[test]
    fn predictions_start_from_the_uniform_distribution_and_entropy_from_100() {
        let states = [[0.0; 2]; 3];
        // p = (3/4, 1/4), then uniform.
        let logits = [[3.0_f32.ln(), 0.0], [0.0, 0.0]];
        let kl =
            |p: [f32; 2], q: [f32; 2]| -> f32 { (0..2).map(|i| p[i] * (p[i] / q[i]).ln()).sum() };
        let (half, uneven) = ([0.5, 0.5], [0.75, 0.25]);
        for (found, expected) in values(ExitCriterion::Kl, &states, &logits)
            .iter()
            .zip([kl(half, uneven), kl(uneven, half)])
        {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        let entropy = -(0.75 * 0.75_f32.ln() + 0.25 * 0.25_f32.ln());
        for (found, expected) in values(ExitCriterion::EntropyDiff, &states, &logits)
            .iter()
            .zip([100.0 - entropy, 2.0_f32.ln() - entropy])
        {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn minp_levels_the_tail_to_the_uniform_share() {
        // p = (0.95.., 0.04..): the second is below a tenth of the first and becomes 1/2.
        let found = values(ExitCriterion::MinpKl, &[[0.0; 2]; 2], &[[3.0, 0.0]]);
        let first = 1.0 / (1.0 + (-3.0_f32).exp());
        let q = [first / (first + 0.5), 0.5 / (first + 0.5)];
        let expected = 0.5 * ((0.5 / q[0]).ln() + (0.5 / q[1]).ln());
        assert!((found[0] - expected).abs() < 1e-6, "{found:?} {expected}");
    }

    #[test]
    fn stability_counts_repeats_and_starts_over_at_a_change() {
        let (a, b) = ([1.0, 0.0], [0.0, 1.0]);
        let found = values(
            ExitCriterion::ArgmaxStability,
            &[[0.0; 2]; 7],
            &[a, a, a, b, b, b],
        );
        let counts: Vec<u32> = found.iter().map(|x| x.round() as u32).collect();
        assert_eq!(counts, [0, 1, 2, 0, 1, 2]);
        assert!(ExitCriterion::ArgmaxStability.exits(5.0, 5.0));
        assert!(!ExitCriterion::Kl.exits(1e-3, 1e-3));
    }
}
