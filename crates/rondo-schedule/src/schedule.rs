//! A schedule in one run: the rate of each step.

use crate::config::ScheduleConfig;
use crate::length::Run;
use crate::shape::{Curve, Rates};

/// The learning rate as a function of the step.
///
/// A shape that falls over the run reaches the floor on the last step T and stays there. If the
/// warm-up is not shorter than the run, all later steps keep the rate of step T instead. A shape
/// that does not depend on T continues after T.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    peak: f64,
    floor: f64,
    /// The number of steps w of the warm-up.
    warmup: u64,
    /// The step after which the rate does not change.
    end: Option<u64>,
    curve: Curve,
}

impl Schedule {
    /// Resolves `config` for `run`.
    pub fn new(config: &ScheduleConfig, run: Run) -> Self {
        let warmup = config.warmup.steps(run);
        let curve = config.shape.curve(warmup, run);
        Self {
            peak: config.peak,
            floor: config.floor,
            warmup,
            end: curve.ends_with_the_run().then_some(run.steps),
            curve,
        }
    }

    /// Returns the rate of step `step`, counted from 1.
    pub fn rate(&self, step: u64) -> f64 {
        let step = self.end.map_or(step, |end| step.min(end)).max(1);
        if step <= self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let rates = Rates {
            peak: self.peak,
            floor: self.floor,
        };
        self.curve.rate(step, self.warmup, rates)
    }
}
