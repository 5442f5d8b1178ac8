//! How recurrence depth and backprop depth rise to their configured values (arXiv 2511.07384).
//!
//! With a start value a, a configured value b and a duration of `over` steps, step t has the value
//! `a + (b − a)·f(x)` with `x = (t − 1) / over`, rounded to the nearest whole number. Step 1 has
//! the value a, and every step from `over + 1` on has the value b.

use rondo_config::Report;
use rondo_config::report::within;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::length::{Length, Run};

/// `[model.recurrence.curriculum]`: the quantities that rise over the run. A quantity without an
/// entry is constant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CurriculumConfig {
    /// The mean recurrence r̄.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Ramp>,
    /// The backprop depth k̄.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backprop_depth: Option<Ramp>,
}

/// The rise of a count from a start value to the configured value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// The start value a, for the first step.
    pub from: usize,
    /// The length of the rise.
    pub over: Length,
    /// The shape f of the rise.
    #[serde(default)]
    pub shape: Rise,
}

/// The shape f of a curriculum, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rise {
    /// `f = x`.
    #[default]
    Linear,
    /// `f = 1 − √(1 − x)`, which rises slowly at first.
    #[serde(rename = "1-sqrt")]
    OneMinusSqrt,
}

impl Ramp {
    /// Returns the value of step `step`, counted from 1. `to` is the configured value.
    pub fn value(&self, to: usize, step: u64, run: Run) -> usize {
        let (done, over) = (step.saturating_sub(1), self.over.steps(run));
        if done >= over {
            return to;
        }
        let x = done as f64 / over as f64;
        let f = match self.shape {
            Rise::Linear => x,
            Rise::OneMinusSqrt => 1.0 - (1.0 - x).sqrt(),
        };
        let from = self.from as f64;
        (from + (to as f64 - from) * f).round() as usize
    }
}

impl CurriculumConfig {
    /// Returns whether no curriculum is set.
    pub fn is_empty(&self) -> bool {
        self.ramps().is_empty()
    }

    /// Lists the lengths, each with its key path below the section.
    pub fn lengths(&self) -> Vec<(String, Length)> {
        let ramps = self.ramps().into_iter();
        ramps
            .map(|(key, ramp)| (format!("{key}.over"), ramp.over))
            .collect()
    }

    /// Reports every violation, each with its key path below the section. Start values must be from
    /// 1 to `most`.
    pub fn validate(&self, most: usize, report: Report<'_>) {
        for (key, ramp) in self.ramps() {
            within(&format!("{key}.from"), ramp.from, 1..=most, report);
        }
        for (key, length) in self.lengths() {
            length.validate(&key, report);
        }
    }

    fn ramps(&self) -> Vec<(&'static str, Ramp)> {
        let mean = self.mean.map(|ramp| ("mean", ramp));
        let backprop_depth = self.backprop_depth.map(|ramp| ("backprop_depth", ramp));
        mean.into_iter().chain(backprop_depth).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Run = Run {
        steps: 16,
        tokens_per_step: 10,
    };

    fn ramp(from: usize, over: Length, shape: Rise) -> Ramp {
        Ramp { from, over, shape }
    }

    fn values(ramp: Ramp, to: usize, steps: u64) -> Vec<usize> {
        (1..=steps).map(|step| ramp.value(to, step, RUN)).collect()
    }

    #[test]
    fn the_first_step_has_the_start_value_and_the_step_after_the_ramp_the_configured_one() {
        let half = Length::Fraction(0.5);
        for over in [Length::Steps(8), Length::Tokens(80), half] {
            // 1 + (t − 1), then constant at 9.
            let linear = values(ramp(1, over, Rise::Linear), 9, 12);
            assert_eq!(linear, [1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9]);
        }
        // 1 + 8(1 − √(1 − x)) is 1.0, 1.52, 2.07, 2.68, 3.34, 4.10, 5.0, 6.17.
        let slow = values(ramp(1, half, Rise::OneMinusSqrt), 9, 10);
        assert_eq!(slow, [1, 2, 2, 3, 3, 4, 5, 6, 9, 9]);
    }

    #[test]
    fn a_ramp_can_go_down_and_be_of_no_length() {
        let down = values(ramp(5, Length::Steps(4), Rise::Linear), 1, 6);
        assert_eq!(down, [5, 4, 3, 2, 1, 1]);
        assert_eq!(
            values(ramp(5, Length::Steps(0), Rise::Linear), 3, 2),
            [3, 3]
        );
    }

    #[test]
    fn no_value_leaves_the_way_from_start_to_end_and_none_goes_back() {
        for shape in [Rise::Linear, Rise::OneMinusSqrt] {
            for over in [1, 2, 7, 1000, u64::MAX] {
                for (from, to) in [(1, 64), (1, 1), (1, 2)] {
                    let ramp = ramp(from, Length::Steps(over), shape);
                    let steps = (1..2000).chain([u64::MAX - 1, u64::MAX]);
                    let all: Vec<usize> = steps.map(|step| ramp.value(to, step, RUN)).collect();
                    assert!(all.is_sorted(), "{ramp:?}");
                    assert_eq!(all[0], from, "{ramp:?}");
                    assert!(all.iter().all(|value| (from..=to).contains(value)));
                }
            }
        }
    }

    #[test]
    fn violations_are_reported_by_key() {
        let curriculum = CurriculumConfig {
            mean: Some(ramp(0, Length::Fraction(2.0), Rise::Linear)),
            backprop_depth: Some(ramp(65, Length::Steps(1), Rise::Linear)),
        };
        let mut keys = Vec::new();
        curriculum.validate(64, &mut |key, _| keys.push(key.to_owned()));
        assert_eq!(
            keys,
            ["mean.from", "backprop_depth.from", "mean.over.fraction"]
        );
    }
}
