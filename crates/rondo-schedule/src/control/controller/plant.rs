//! A simulated run whose response to the strength can be computed by hand.
//!
//! ```text
//! d = −ln density; d ← d + (max(0, ln(R / k)) − d) / T
//! CE = floor + 0.02·min(d, 4) + g·max(0, d − 4)
//! ```
//!
//! For a constant R the density settles at k / R, with the time constant T (in steps). While d is
//! below 4, an increase of d by 1 costs 0.02 nats; above, it costs g nats. The controller's
//! observation is `delay` steps old and noisy. [`POCKET`] has the numbers of configs/sparse.toml at
//! a constant learning rate. With T = 10 and g = 0.12 the exponential rule cycles much like that
//! run did: with a period of 89 steps, R between 0.6 and 516, and CE between 1.73 and 2.18.
//!
//! The unrest of R is the standard deviation of R divided by its mean, in the last third of a run.

use super::tests::noise;
use super::*;
use crate::control::target::{Absolute, Target};
use crate::control::update::Update;

const TARGET: f64 = 1.945;
const FLOOR: f64 = 1.7;
const STEPS: usize = 1600;
/// k: a strength of 40 leaves a density of 0.005.
const STRENGTH_OF_ALL: f64 = 0.2;

/// The constants of the simulated run, and how the controller observes it.
#[derive(Clone, Copy)]
struct Plant {
    /// T, in steps.
    lag: f64,
    /// g, in nats for each factor e of density.
    cost: f64,
    /// The age of an observation, in steps.
    delay: usize,
    /// The standard deviation of the noise of an observation, in nats.
    noise: f64,
    /// The number of steps from one observation to the next.
    every: usize,
}

/// A run like configs/sparse.toml, observed at every training batch.
const POCKET: Plant = Plant {
    lag: 10.0,
    cost: 0.12,
    delay: 1,
    noise: 0.1,
    every: 1,
};
/// A run that responds three times more slowly than [`POCKET`], with a higher cost g.
const SLOW: Plant = Plant {
    lag: 30.0,
    cost: 0.2,
    delay: 5,
    ..POCKET
};
/// The same run as [`POCKET`], observed by an evaluation every 20 steps.
const EVALUATIONS: Plant = Plant {
    noise: 0.015,
    every: 20,
    ..POCKET
};

/// The strength and the cross entropy (without noise) of every step.
struct Course {
    strength: Vec<f64>,
    cross_entropy: Vec<f64>,
}

impl Plant {
    fn quiet(self) -> Self {
        Self { noise: 0.0, ..self }
    }

    /// Simulates a run under a rule. `disturbance` is added to the cross entropy of each step.
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
    /// Returns the standard deviation of R divided by its mean, in the last third.
    fn unrest(&self) -> f64 {
        let last = &self.strength[STEPS - STEPS / 3..];
        let mean = mean(last);
        let variance = last.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / last.len() as f64;
        variance.sqrt() / mean
    }

    /// Returns how often R rises through its mean in the last third.
    fn cycles(&self) -> usize {
        let last = &self.strength[STEPS - STEPS / 3..];
        let mean = mean(last);
        let rises = last.windows(2).filter(|r| r[0] < mean && r[1] >= mean);
        rises.count()
    }

    /// Returns the step after which CE stays within 1 % of the target.
    fn settled(&self) -> usize {
        let far = |ce: &f64| (ce - TARGET).abs() > 0.01 * TARGET;
        self.cross_entropy
            .iter()
            .rposition(far)
            .map_or(0, |step| step + 1)
    }

    /// Returns the largest excess of CE over the target, in nats.
    fn overshoot(&self) -> f64 {
        let most = self.cross_entropy.iter().fold(f64::MIN, |a, &b| a.max(b));
        most - TARGET
    }

    /// Returns the mean of CE in the last third, minus the target.
    fn offset(&self) -> f64 {
        mean(&self.cross_entropy[STEPS - STEPS / 3..]) - TARGET
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

mod tests;
