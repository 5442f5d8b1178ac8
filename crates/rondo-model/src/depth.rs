//! How many iterations a training step takes: a pure function of `(seed, step)` in a run.
//!
//! The default law is the paper's (arXiv 2502.05171, §3.3): with mean recurrence r̄ and σ = 1/2,
//! `τ ~ N(ln r̄ − σ²/2, σ)`, `p ~ Poisson(e^τ) + 1`. The total p is clamped to `max`, then split into
//! `n = max(p − k̄, 0)` iterations without and `k = min(k̄, p)` with gradient. r̄ and k̄ may come to
//! their values over a curriculum.

use rand::RngExt;
use rand_distr::{Distribution, Geometric, Normal, Poisson};
use rondo_schedule::{CurriculumConfig, Ramp, Run};
use serde::{Deserialize, Serialize};

use crate::config::Report;
use crate::seed::{Stream, generator};

/// The largest recurrence depth that a configuration may ask for.
pub const MAX_RECURRENCE: usize = 64;

/// How many iterations a training step takes, and how many of them carry gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecurrenceConfig {
    /// Mean recurrence r̄.
    pub mean: usize,
    /// Largest backprop depth k̄: iterations that carry gradient.
    pub backprop_depth: usize,
    /// Draws above this are clamped to it, and counted.
    pub max: usize,
    /// The law of the total.
    pub sampler: DepthSampler,
    /// What backward computes again.
    pub recompute: Recompute,
    /// How r̄ and k̄ come to their values.
    #[serde(skip_serializing_if = "CurriculumConfig::is_empty")]
    pub curriculum: CurriculumConfig,
}

impl Default for RecurrenceConfig {
    fn default() -> Self {
        Self {
            mean: 16,
            backprop_depth: 8,
            max: MAX_RECURRENCE,
            sampler: DepthSampler::PoissonLognormalFilling,
            recompute: Recompute::None,
            curriculum: CurriculumConfig::default(),
        }
    }
}

/// The law of the total number of iterations p.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DepthSampler {
    /// `Poisson(e^τ) + 1`, τ normal: the paper's.
    PoissonLognormalFilling,
    /// `max(1, Poisson(r̄))` (Parcae, arXiv 2604.12946).
    PoissonTruncated,
    /// r̄, always.
    Fixed,
    /// Uniform on `1 ..= 2r̄ − 1`.
    Uniform,
    /// Geometric on 1, 2, … with mean r̄.
    Geometric,
    /// The paper's draw, every iteration with gradient.
    Full,
    /// One iteration.
    NonRecurrent,
}

/// What backward computes again rather than finds in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recompute {
    /// Nothing: the activations of all k iterations are kept.
    None,
    /// Each iteration, from its state: the activations of one iteration are there at a time, for
    /// k more forward iterations and the same gradients.
    Iteration,
}

/// The iterations of one training pass: `no_grad` that build no graph, then `with_grad` that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unroll {
    /// n.
    pub no_grad: usize,
    /// k.
    pub with_grad: usize,
}

impl Unroll {
    /// Returns the recurrence depth r = n + k.
    pub fn total(self) -> usize {
        self.no_grad + self.with_grad
    }
}

/// One step's draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The iterations to run.
    pub unroll: Unroll,
    /// The total before the clamp, where the clamp changed it.
    pub clamped_from: Option<usize>,
}

impl RecurrenceConfig {
    /// Returns the mean recurrence r̄ and the backprop depth k̄ of `step` of `run`.
    pub fn at(&self, step: u64, run: Run) -> (usize, usize) {
        let on_the_way = |ramp: Option<Ramp>, to| ramp.map_or(to, |ramp| ramp.value(to, step, run));
        (
            on_the_way(self.curriculum.mean, self.mean),
            on_the_way(self.curriculum.backprop_depth, self.backprop_depth),
        )
    }

    /// Draws the unroll of `step` of `run`. Steps count from 1.
    pub fn draw(&self, seed: u64, step: u64, run: Run) -> Draw {
        let (mean, backprop_depth) = self.at(step, run);
        let total = self.sampler.total(mean, seed, step);
        let clamped = total.clamp(1, self.max);
        Draw {
            unroll: self.split(clamped, backprop_depth),
            clamped_from: (clamped != total).then_some(total),
        }
    }

    /// Returns the split of the mean depth, (r̄ − k̄, k̄), which plans use.
    pub fn planned(&self) -> Unroll {
        let mean = match self.sampler {
            DepthSampler::NonRecurrent => 1,
            _ => self.mean.min(self.max),
        };
        self.split(mean, self.backprop_depth)
    }

    /// Returns the split of the largest depth that a draw can give, at any step.
    pub fn largest(&self) -> Unroll {
        let largest = |ramp: Option<Ramp>, to: usize| ramp.map_or(to, |ramp| ramp.from.max(to));
        let mean = largest(self.curriculum.mean, self.mean);
        let total = match self.sampler {
            DepthSampler::NonRecurrent => 1,
            DepthSampler::Fixed => mean.min(self.max),
            DepthSampler::Uniform => (2 * mean).saturating_sub(1).clamp(1, self.max),
            _ => self.max,
        };
        let backprop_depth = largest(self.curriculum.backprop_depth, self.backprop_depth);
        self.split(total, backprop_depth)
    }

    fn split(&self, total: usize, backprop_depth: usize) -> Unroll {
        let with_grad = match self.sampler {
            DepthSampler::Full => total,
            _ => total.min(backprop_depth),
        };
        Unroll {
            no_grad: total - with_grad,
            with_grad,
        }
    }

    /// Reports every violation by its key path below `[model.recurrence]`.
    pub fn validate(&self, report: Report<'_>) {
        for (key, value) in [("mean", self.mean), ("max", self.max)] {
            if !(1..=MAX_RECURRENCE).contains(&value) {
                report(key, format!("must be 1 to {MAX_RECURRENCE}, found {value}"));
            }
        }
        if self.backprop_depth == 0 {
            report("backprop_depth", "must be at least 1, found 0".into());
        }
        if self.mean > self.max && (1..=MAX_RECURRENCE).contains(&self.mean) {
            report(
                "mean",
                format!("must not exceed max = {}, found {}", self.max, self.mean),
            );
        }
        self.validate_curriculum(&mut |key, message| {
            report(&format!("curriculum.{key}"), message);
        });
    }

    fn validate_curriculum(&self, report: Report<'_>) {
        let curriculum = &self.curriculum;
        curriculum.validate(self.max.clamp(1, MAX_RECURRENCE), report);
        let (no_mean, no_depth) = match self.sampler {
            DepthSampler::NonRecurrent => (true, true),
            DepthSampler::Full => (false, true),
            _ => (false, false),
        };
        for (key, ramp, unread) in [
            ("mean", curriculum.mean, no_mean),
            ("backprop_depth", curriculum.backprop_depth, no_depth),
        ] {
            if unread && ramp.is_some() {
                report(
                    key,
                    "the sampler does not depend on it; remove this key".into(),
                );
            }
        }
    }
}

impl DepthSampler {
    /// Draws the total p for mean recurrence `mean`, before any clamp.
    fn total(self, mean: usize, seed: u64, step: u64) -> usize {
        let mut rng = generator(seed, Stream::Depth, step);
        match self {
            Self::PoissonLognormalFilling | Self::Full => {
                let sigma = 0.5;
                let location = (mean as f64).ln() - sigma * sigma / 2.0;
                let tau = Normal::new(location, sigma).map_or(location, |law| law.sample(&mut rng));
                poisson(tau.exp(), &mut rng) + 1
            }
            Self::PoissonTruncated => poisson(mean as f64, &mut rng).max(1),
            Self::Fixed => mean,
            Self::Uniform => rng.random_range(1..=(2 * mean).saturating_sub(1).max(1)),
            Self::Geometric => Geometric::new(1.0 / mean as f64)
                .map_or(mean, |law| law.sample(&mut rng) as usize + 1),
            Self::NonRecurrent => 1,
        }
    }
}

fn poisson(rate: f64, rng: &mut impl rand::Rng) -> usize {
    Poisson::new(rate).map_or(0, |law| law.sample(rng) as usize)
}

#[cfg(test)]
mod tests {
    use rondo_schedule::{Length, Rise};

    use super::*;

    const RUN: Run = Run {
        steps: 1000,
        tokens_per_step: 1,
    };

    fn config(sampler: DepthSampler, mean: usize) -> RecurrenceConfig {
        RecurrenceConfig {
            mean,
            sampler,
            ..RecurrenceConfig::default()
        }
    }

    fn mean_of(sampler: DepthSampler, mean: usize) -> f64 {
        let draws = 20_000;
        let sum: usize = (1..=draws).map(|step| sampler.total(mean, 7, step)).sum();
        sum as f64 / draws as f64
    }

    #[test]
    fn the_published_law_has_its_mean_median_and_tail() {
        let law = DepthSampler::PoissonLognormalFilling;
        let mut draws: Vec<usize> = (1..=100_000).map(|step| law.total(32, 0, step)).collect();
        draws.sort_unstable();
        let mean = draws.iter().sum::<usize>() as f64 / draws.len() as f64;
        assert!((mean - 33.0).abs() < 0.03 * 33.0, "{mean}");
        let at = |q: f64| draws[(q * draws.len() as f64) as usize] as f64;
        for (quantile, expected) in [(0.5, 29.0), (0.95, 67.0), (0.99, 94.0)] {
            assert!(
                (at(quantile) - expected).abs() <= 0.03 * expected,
                "{quantile}: {}",
                at(quantile)
            );
        }
    }

    #[test]
    fn the_clamp_to_64_touches_5_8_percent_of_the_draws() {
        let law = config(DepthSampler::PoissonLognormalFilling, 32);
        let draws: Vec<Draw> = (1..=100_000).map(|step| law.draw(0, step, RUN)).collect();
        let clamped: Vec<&Draw> = draws.iter().filter(|d| d.clamped_from.is_some()).collect();
        let share = clamped.len() as f64 / draws.len() as f64;
        assert!((share - 0.058).abs() < 0.03 * 0.058, "{share}");
        for draw in clamped {
            assert_eq!(draw.unroll.total(), 64);
            assert!(draw.clamped_from > Some(64), "{draw:?}");
        }
        // What is left of the mean of 33.
        let mean = draws.iter().map(|d| d.unroll.total()).sum::<usize>() as f64 / 100_000.0;
        assert!((mean - 31.99).abs() < 0.03 * 31.99, "{mean}");
    }

    #[test]
    fn every_law_has_the_mean_it_is_asked_for() {
        assert!((mean_of(DepthSampler::PoissonTruncated, 9) - 9.0).abs() < 0.1);
        assert!((mean_of(DepthSampler::Uniform, 9) - 9.0).abs() < 0.2);
        assert!((mean_of(DepthSampler::Geometric, 9) - 9.0).abs() < 0.3);
        assert!((mean_of(DepthSampler::Fixed, 9) - 9.0).abs() < 1e-12);
        assert!((mean_of(DepthSampler::NonRecurrent, 9) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_clamp_comes_before_the_split_and_is_told() {
        let config = RecurrenceConfig {
            max: 4,
            ..config(DepthSampler::Fixed, 4)
        };
        let draw = RecurrenceConfig { mean: 9, ..config }.draw(0, 1, RUN);
        assert_eq!(draw.clamped_from, Some(9));
        assert_eq!(
            draw.unroll,
            Unroll {
                no_grad: 0,
                with_grad: 4
            }
        );
    }

    #[test]
    fn a_draw_splits_into_iterations_without_and_with_gradient() {
        let draw = config(DepthSampler::Fixed, 20).draw(0, 1, RUN);
        assert_eq!(
            draw.unroll,
            Unroll {
                no_grad: 12,
                with_grad: 8
            }
        );
        let full = config(DepthSampler::Full, 20).draw(3, 5, RUN).unroll;
        let main = config(DepthSampler::PoissonLognormalFilling, 20)
            .draw(3, 5, RUN)
            .unroll;
        assert_eq!(
            full,
            Unroll {
                no_grad: 0,
                with_grad: main.total()
            }
        );
    }

    #[test]
    fn a_draw_depends_on_seed_and_step_only() {
        let law = config(DepthSampler::PoissonLognormalFilling, 16);
        assert_eq!(law.draw(1, 5, RUN), law.draw(1, 5, RUN));
        assert!((1..50).any(|step| law.draw(1, step, RUN) != law.draw(2, step, RUN)));
        assert!((1..50).any(|step| law.draw(1, step, RUN) != law.draw(1, step + 1, RUN)));
    }

    #[test]
    fn no_draw_exceeds_the_largest_unroll() {
        for sampler in [
            DepthSampler::Uniform,
            DepthSampler::Fixed,
            DepthSampler::Full,
        ] {
            let law = config(sampler, 5);
            let most = (1..2000)
                .map(|step| law.draw(0, step, RUN).unroll.total())
                .max();
            assert!(most <= Some(law.largest().total()), "{sampler:?}");
        }
    }

    #[test]
    fn a_curriculum_leads_to_the_configured_depths_and_the_largest_unroll_covers_it() {
        let ramp = |from| Ramp {
            from,
            over: Length::Steps(4),
            shape: Rise::Linear,
        };
        let mut law = config(DepthSampler::Fixed, 5);
        law.curriculum.mean = Some(ramp(1));
        law.curriculum.backprop_depth = Some(ramp(12));
        let unrolls: Vec<(usize, usize)> = (1..=6)
            .map(|step| law.draw(0, step, RUN).unroll)
            .map(|unroll| (unroll.total(), unroll.with_grad))
            .collect();
        assert_eq!(unrolls, [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (5, 5)]);
        assert_eq!(law.at(2, RUN), (2, 11));
        assert_eq!(law.planned().total(), 5);
        law.curriculum.mean = Some(ramp(20));
        let largest = law.largest();
        assert_eq!((largest.total(), largest.with_grad), (20, 12));
    }

    #[test]
    fn a_curriculum_that_the_sampler_does_not_read_is_a_violation() {
        let ramp = Some(Ramp {
            from: 1,
            over: Length::Steps(4),
            shape: Rise::Linear,
        });
        for (sampler, expected) in [
            (DepthSampler::Fixed, vec![]),
            (DepthSampler::Full, vec!["curriculum.backprop_depth"]),
            (
                DepthSampler::NonRecurrent,
                vec!["curriculum.mean", "curriculum.backprop_depth"],
            ),
        ] {
            let mut law = config(sampler, 5);
            law.curriculum = CurriculumConfig {
                mean: ramp,
                backprop_depth: ramp,
            };
            let mut keys = Vec::new();
            law.validate(&mut |key, _| keys.push(key.to_owned()));
            assert_eq!(keys, expected);
        }
    }
}
