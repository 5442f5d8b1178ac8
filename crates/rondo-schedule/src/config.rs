//! The configuration of `[schedule]`.

use rondo_config::Report;
use rondo_config::report::{positive, section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::length::Length;
use crate::shape::Shape;

/// A learning-rate schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Peak rate η.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub peak: f64,
    /// Floor η_min, the lowest rate of the falling shapes.
    #[schemars(range(min = 0))]
    pub floor: f64,
    /// Length w of the warm-up.
    pub warmup: Length,
    /// The shape after the warm-up.
    pub shape: Shape,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            peak: 1e-3,
            floor: 0.0,
            warmup: Length::Steps(0),
            shape: Shape::Constant {},
        }
    }
}

impl ScheduleConfig {
    /// Lists the schedule's lengths, each with its key path below `[schedule]`.
    pub fn lengths(&self) -> Vec<(String, Length)> {
        let shape = self.shape.lengths().into_iter();
        let below = shape.map(|(key, length)| (format!("shape.{key}"), length));
        std::iter::once(("warmup".to_owned(), self.warmup))
            .chain(below)
            .collect()
    }

    /// Reports every violation, each with its key path below `[schedule]`.
    pub fn validate(&self, report: Report<'_>) {
        positive("peak", self.peak, report);
        if !(self.floor >= 0.0 && self.floor <= self.peak) {
            report(
                "floor",
                format!("must be 0 to peak = {}, found {}", self.peak, self.floor),
            );
        } else if self.shape.is_exponential() && self.floor <= 0.0 {
            report(
                "floor",
                "an exponential decay never reaches 0; give a positive floor".into(),
            );
        }
        if matches!(self.shape, Shape::InverseSqrt {}) && self.warmup.is_zero() {
            report(
                "warmup",
                "inverse-sqrt falls in units of the warm-up; it must not be 0".into(),
            );
        }
        for (key, length) in self.lengths() {
            length.validate(&key, report);
        }
        self.shape.validate(&mut section("shape", report));
    }
}
