//! The number of iterations in a training step. Within a run, this number is a pure function of
//! `(seed, step)`.
//!
//! The default distribution is that of Geiping et al. 2025 (arXiv 2502.05171, §3.3). With mean
//! recurrence r̄ and σ = 1/2, a step draws `τ ~ N(ln r̄ − σ²/2, σ)` and then the total
//! `p ~ Poisson(e^τ) + 1`. The total p is clamped to `max`, then split into `n = max(p − k̄, 0)`
//! iterations without gradient and `k = min(k̄, p)` iterations with gradient. A curriculum may ramp
//! r̄ and k̄ to their configured values.

use rand::RngExt;
use rand_distr::{Distribution, Geometric, Normal, Poisson};
use rondo_config::Report;
use rondo_config::report::{at_least_one, section, within};
use rondo_schedule::{CurriculumConfig, Ramp, Run};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::seed::{Stream, generator};

/// The largest recurrence depth that a training step may take.
pub const MAX_RECURRENCE: usize = 64;

/// The largest recurrence depth of a forward pass without gradient: in evaluation, generation and
/// traces. Such a pass needs no more memory than one iteration; the limit only rejects numbers
/// entered by mistake.
pub const MAX_EVALUATED: usize = 1 << 24;

/// How many iterations a training step takes, and how many of them carry gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecurrenceConfig {
    /// Mean recurrence r̄.
    #[schemars(range(min = 1, max = MAX_RECURRENCE))]
    pub mean: usize,
    /// Backprop depth k̄: the largest number of iterations that carry gradient.
    #[schemars(range(min = 1))]
    pub backprop_depth: usize,
    /// The largest total number of iterations. A larger draw is clamped to this number, and such
    /// draws are counted.
    #[schemars(range(min = 1, max = MAX_RECURRENCE))]
    pub max: usize,
    /// The distribution of the total number of iterations.
    pub sampler: DepthSampler,
    /// What the backward pass recomputes.
    pub recompute: Recompute,
    /// How r̄ and k̄ ramp to `mean` and `backprop_depth`.
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

/// The distribution of the total number of iterations p.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DepthSampler {
    /// `Poisson(e^τ) + 1` with normal τ (Geiping et al. 2025, arXiv 2502.05171).
    PoissonLognormalFilling,
    /// `max(1, Poisson(r̄))` (Parcae, arXiv 2604.12946).
    PoissonTruncated,
    /// Always r̄.
    Fixed,
    /// Uniform on `1 ..= 2r̄ − 1`.
    Uniform,
    /// Geometric on 1, 2, … with mean r̄.
    Geometric,
    /// Like `poisson-lognormal-filling`, but with gradient in every iteration.
    Full,
    /// One iteration.
    NonRecurrent,
}

/// What the backward pass recomputes instead of keeping it in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Recompute {
    /// Nothing: the activations of all k iterations are kept.
    None,
    /// Each iteration, from the state before it. Only the activations of one iteration are in
    /// memory at a time, which costs k more forward iterations. The gradients are the same.
    Iteration,
}

/// The iterations of a training pass: first `no_grad` iterations without a graph, then `with_grad`
/// iterations with a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unroll {
    /// n, the number of iterations without gradient.
    pub no_grad: usize,
    /// k, the number of iterations with gradient.
    pub with_grad: usize,
}

impl Unroll {
    /// Returns the recurrence depth r = n + k.
    pub fn total(self) -> usize {
        self.no_grad + self.with_grad
    }
}

/// The iterations that are drawn for one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The iterations to run.
    pub unroll: Unroll,
    /// The drawn total, if it was clamped.
    pub clamped_from: Option<usize>,
}

impl RecurrenceConfig {
    /// Returns the mean recurrence r̄ and the backprop depth k̄ at `step` of `run`.
    pub fn at(&self, step: u64, run: Run) -> (usize, usize) {
        let on_the_way = |ramp: Option<Ramp>, to| ramp.map_or(to, |ramp| ramp.value(to, step, run));
        (
            on_the_way(self.curriculum.mean, self.mean),
            on_the_way(self.curriculum.backprop_depth, self.backprop_depth),
        )
    }

    /// Draws the unroll at `step` of `run`. Steps count from 1.
    pub fn draw(&self, seed: u64, step: u64, run: Run) -> Draw {
        let (mean, backprop_depth) = self.at(step, run);
        let total = self.sampler.total(mean, seed, step);
        let clamped = total.clamp(1, self.max);
        Draw {
            unroll: self.split(clamped, backprop_depth),
            clamped_from: (clamped != total).then_some(total),
        }
    }

    /// Returns the unroll of a typical step: r̄ iterations, the last k̄ of them with gradient.
    pub fn planned(&self) -> Unroll {
        let mean = match self.sampler {
            DepthSampler::NonRecurrent => 1,
            _ => self.mean.min(self.max),
        };
        self.split(mean, self.backprop_depth)
    }

    /// Returns the unroll with the largest total that a step can draw.
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
            within(key, value, 1..=MAX_RECURRENCE, report);
        }
        at_least_one("backprop_depth", self.backprop_depth, report);
        if self.mean > self.max && (1..=MAX_RECURRENCE).contains(&self.mean) {
            report(
                "mean",
                format!("must not exceed max = {}, found {}", self.max, self.mean),
            );
        }
        self.validate_curriculum(&mut section("curriculum", report));
    }

    /// Reports, by key path below `[model.recurrence]`, values that no step of `run` reaches.
    pub fn warnings(&self, run: Run, report: Report<'_>) {
        let (max, backprop_depth) = (self.max, self.backprop_depth);
        let reads_depth = !matches!(
            self.sampler,
            DepthSampler::Full | DepthSampler::NonRecurrent
        );
        if reads_depth && backprop_depth > max {
            report(
                "backprop_depth",
                format!(
                    "{backprop_depth} exceeds max = {max}, so every iteration carries gradient; \
                     try {max}"
                ),
            );
        }
        let last = self.at(run.steps.max(1), run);
        for (key, last, to) in [
            ("mean", last.0, self.mean),
            ("backprop_depth", last.1, backprop_depth),
        ] {
            if last != to && run.steps > 0 {
                report(
                    &format!("curriculum.{key}.over"),
                    format!(
                        "the ramp to {key} = {to} is longer than the run of {} steps, which ends at {last}",
                        run.steps
                    ),
                );
            }
        }
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
mod tests;
