//! A simulated run whose response to the strength can be computed by hand.
//!
//! ```text
//! d = −ln density, the e-folds that are closed;  d ← d + (max(0, ln(R / k)) − d) / T
//! CE = floor + 0.02·min(d, 4) + g·max(0, d − 4)
//! ```
//!
//! The density for a constant R is k / R; it is reached with the lag T (in steps). The first four
//! e-folds cost 0.02 nats each, every further one g. The controller's observation is `delay` steps
//! old and noisy. [`POCKET`] has the numbers of configs/sparse.toml at a constant learning rate.
//! With T = 10 and g = 0.12 the exponential rule cycles much like that run did: a period of 89
//! steps, R between 0.6 and 516, and CE between 1.73 and 2.18.
//!
//! The unrest of R is its standard deviation over its mean in the last third of a run.

use super::tests::noise;
use super::*;
use crate::control::target::{Absolute, Target};
use crate::control::update::Update;

const TARGET: f64 = 1.945;
const FLOOR: f64 = 1.7;
const STEPS: usize = 1600;
/// k: with a strength of 40, 5 in 1000 edges are kept.
const STRENGTH_OF_ALL: f64 = 0.2;

/// The simulated run, and how it is observed.
#[derive(Clone, Copy)]
struct Plant {
    /// T, in steps.
    lag: f64,
    /// g, in nats for each e-fold of density.
    cost: f64,
    /// The age of an observation, in steps.
    delay: usize,
    /// Standard deviation of an observation, in nats.
    noise: f64,
    /// Steps from one observation to the next.
    every: usize,
}

/// The batches of configs/sparse.toml.
const POCKET: Plant = Plant {
    lag: 10.0,
    cost: 0.12,
    delay: 1,
    noise: 0.1,
    every: 1,
};
/// Three times slower than [`POCKET`], with a higher cost.
const SLOW: Plant = Plant {
    lag: 30.0,
    cost: 0.2,
    delay: 5,
    ..POCKET
};
/// The same, observed by an evaluation every 20 steps.
const EVALUATIONS: Plant = Plant {
    noise: 0.015,
    every: 20,
    ..POCKET
};

/// Strength and cross entropy of every step; the cross entropy is without noise.
struct Course {
    strength: Vec<f64>,
    cross_entropy: Vec<f64>,
}

impl Plant {
    fn quiet(self) -> Self {
        Self { noise: 0.0, ..self }
    }

    /// Simulates a rule; `disturbance` is added to the cross entropy of a step.
    fn run(
        self,
        update: Update,
        smoothing: f64,
        seed: usize,
        disturbance: impl Fn(usize) -> f64,
    ) -> Course {
        let config = ControlConfig {
            min_strength: 1e-2,
            smoothing,
            update,
            target: Target::Absolute(Absolute {
                cross_entropy: TARGET,
            }),
            ..ControlConfig::default()
        };
        let mut controller = Controller::new(config, None).expect("a valid configuration");
        let mut uniform = noise().skip(seed * 100_000);
        let (mut closed, mut seen) = (0.0, Vec::new());
        let (mut strength, mut cross_entropy) = (Vec::new(), Vec::new());
        for step in 0..STEPS {
            let now = controller.strength(step as u64 + 1);
            let wanted = (now / STRENGTH_OF_ALL).ln().max(0.0);
            closed += (wanted - closed) / self.lag;
            let cost = 0.02 * f64::min(closed, 4.0) + self.cost * (closed - 4.0).max(0.0);
            strength.push(now);
            cross_entropy.push(FLOOR + cost + disturbance(step));
            // The sum of twelve uniform numbers has a standard deviation of 1.
            let normal = uniform.by_ref().take(12).sum::<f64>() - 6.0;
            seen.push(cross_entropy[step] + self.noise * normal);
            if (step + 1).is_multiple_of(self.every) {
                let old = seen[step.saturating_sub(self.delay)];
                controller.observe(step as u64 + 1, old);
            }
        }
        Course {
            strength,
            cross_entropy,
        }
    }
}

impl Course {
    /// Standard deviation of R over its mean, in the last third.
    fn unrest(&self) -> f64 {
        let last = &self.strength[STEPS - STEPS / 3..];
        let mean = mean(last);
        let variance = last.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / last.len() as f64;
        variance.sqrt() / mean
    }

    /// How often R rises through its mean in the last third.
    fn cycles(&self) -> usize {
        let last = &self.strength[STEPS - STEPS / 3..];
        let mean = mean(last);
        let rises = last.windows(2).filter(|r| r[0] < mean && r[1] >= mean);
        rises.count()
    }

    /// The step after which CE stays within 1 % of the target.
    fn settled(&self) -> usize {
        let far = |ce: &f64| (ce - TARGET).abs() > 0.01 * TARGET;
        self.cross_entropy
            .iter()
            .rposition(far)
            .map_or(0, |step| step + 1)
    }

    /// The largest excess of CE over the target, in nats.
    fn overshoot(&self) -> f64 {
        let most = self.cross_entropy.iter().fold(f64::MIN, |a, &b| a.max(b));
        most - TARGET
    }

    /// The mean of CE in the last third, minus the target.
    fn offset(&self) -> f64 {
        mean(&self.cross_entropy[STEPS - STEPS / 3..]) - TARGET
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

mod tests;
