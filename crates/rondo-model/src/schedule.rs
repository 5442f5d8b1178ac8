//! The learning rate: a pure function of the step.
//!
//! With peak η, floor η_min, warm-up w and horizon T, step t counts from 1: η·t/w for t ≤ w, then
//! η_min + (η − η_min)·f with a shape f from 1 to 0, which holds 0 past T. So the first step of a
//! warm-up is η/w, its last is η, and a decaying schedule ends at η_min on step T. A run shorter than
//! its warm-up ends in it; a cooldown is cut to the steps that follow the warm-up.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::config::Report;

/// A learning-rate schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Peak rate η.
    pub peak: f64,
    /// Floor η_min of the decaying shapes.
    pub floor: f64,
    /// Warm-up in steps, w.
    pub warmup: u64,
    /// What follows the warm-up.
    pub shape: Shape,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            peak: 1e-3,
            floor: 0.0,
            warmup: 0,
            shape: Shape::Constant {},
        }
    }
}

/// The shape f of a schedule after its warm-up, with p = (t − w) / (T − w).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Shape {
    /// f = 1, past T too.
    Constant {},
    /// f = 1 − p.
    Linear {},
    /// f = (1 + cos πp) / 2.
    Cosine {},
    /// f = 1, then linear to 0 over the last `cooldown` steps.
    Trapezoid {
        /// Steps of the decline.
        cooldown: u64,
    },
}

impl ScheduleConfig {
    /// Returns the rate of step `step`, counted from 1, of a run of `horizon` steps.
    pub fn rate(&self, step: u64, horizon: u64) -> f64 {
        if step <= self.warmup {
            return self.peak * step as f64 / self.warmup as f64;
        }
        let progress = |from: u64| {
            let length = horizon.saturating_sub(from).max(1) as f64;
            (step.saturating_sub(from) as f64 / length).min(1.0)
        };
        let f = match self.shape {
            Shape::Constant {} => 1.0,
            Shape::Linear {} => 1.0 - progress(self.warmup),
            Shape::Cosine {} => f64::midpoint(1.0, (PI * progress(self.warmup)).cos()),
            Shape::Trapezoid { cooldown } => {
                let start = horizon.saturating_sub(cooldown).max(self.warmup);
                1.0 - progress(start)
            }
        };
        self.floor + (self.peak - self.floor) * f
    }

    /// Reports every violation by its key path below `[schedule]`.
    pub fn validate(&self, report: Report<'_>) {
        if !(self.peak.is_finite() && self.peak > 0.0) {
            report(
                "peak",
                format!("must be a positive number, found {}", self.peak),
            );
        }
        if !(self.floor >= 0.0 && self.floor <= self.peak) {
            report(
                "floor",
                format!("must be 0 to peak = {}, found {}", self.peak, self.floor),
            );
        }
    }
}

/// Σ η_t with Neumaier's compensation, so that the sum of a long run loses nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RateSum {
    sum: f64,
    lost: f64,
}

impl RateSum {
    /// Returns the sum of the rates of steps 1 to `step`.
    pub fn up_to(step: u64, rate: impl Fn(u64) -> f64) -> Self {
        let mut sum = Self::default();
        (1..=step).for_each(|t| sum.add(rate(t)));
        sum
    }

    /// Adds one step's rate.
    pub fn add(&mut self, rate: f64) {
        let total = self.sum + rate;
        self.lost += if self.sum.abs() >= rate.abs() {
            (self.sum - total) + rate
        } else {
            (rate - total) + self.sum
        };
        self.sum = total;
    }

    /// Returns the sum.
    pub fn value(&self) -> f64 {
        self.sum + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HORIZON: u64 = 100;

    fn all() -> Vec<ScheduleConfig> {
        let shapes = [
            Shape::Constant {},
            Shape::Linear {},
            Shape::Cosine {},
            Shape::Trapezoid { cooldown: 30 },
        ];
        let with = |shape| ScheduleConfig {
            peak: 0.5,
            floor: 0.1,
            warmup: 10,
            shape,
        };
        shapes.into_iter().map(with).collect()
    }

    #[test]
    fn warm_up_rises_by_equal_parts_to_the_peak() {
        for schedule in all() {
            assert!((schedule.rate(1, HORIZON) - 0.05).abs() < 1e-15);
            assert!((schedule.rate(10, HORIZON) - 0.5).abs() < 1e-15);
        }
    }

    #[test]
    fn decaying_shapes_end_at_the_floor_and_stay_there() {
        for schedule in all().into_iter().filter(|s| s.shape != Shape::Constant {}) {
            for step in [HORIZON, HORIZON + 1, 10 * HORIZON] {
                assert!(
                    (schedule.rate(step, HORIZON) - 0.1).abs() < 1e-15,
                    "{:?}",
                    schedule.shape
                );
            }
        }
    }

    #[test]
    fn no_seam_is_steeper_than_the_steepest_slope() {
        // Warm-up is the steepest of these: 0.05 a step.
        for schedule in all() {
            for step in 1..2 * HORIZON {
                let jump = schedule.rate(step + 1, HORIZON) - schedule.rate(step, HORIZON);
                assert!(
                    jump.abs() <= 0.05 + 1e-12,
                    "{:?} at {step}: {jump}",
                    schedule.shape
                );
            }
        }
    }

    #[test]
    fn a_cooldown_longer_than_the_run_declines_from_the_end_of_the_warm_up() {
        let shape = Shape::Trapezoid { cooldown: 30 };
        let schedule = ScheduleConfig {
            peak: 1.0,
            floor: 0.0,
            warmup: 2,
            shape,
        };
        let rates: Vec<f64> = (1..=6).map(|step| schedule.rate(step, 6)).collect();
        for (rate, expected) in rates.iter().zip([0.5, 1.0, 0.75, 0.5, 0.25, 0.0]) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
    }

    #[test]
    fn a_run_of_one_step_has_a_finite_rate() {
        for schedule in all() {
            for warmup in [0, 1] {
                let rate = ScheduleConfig {
                    warmup,
                    ..schedule.clone()
                }
                .rate(1, 1);
                assert!((0.1..=0.5).contains(&rate), "{:?}: {rate}", schedule.shape);
            }
        }
    }

    #[test]
    fn the_sum_can_be_continued_and_is_compensated() {
        let schedule = &all()[2];
        let rate = |t| schedule.rate(t, HORIZON);
        let mut sum = RateSum::up_to(40, rate);
        (41..=70).for_each(|t| sum.add(rate(t)));
        assert_eq!(sum, RateSum::up_to(70, rate));
        let mut small = RateSum::default();
        small.add(1.0);
        (0..1000).for_each(|_| small.add(1e-17));
        assert!((small.value() - (1.0 + 1e-14)).abs() < 1e-16);
    }
}
