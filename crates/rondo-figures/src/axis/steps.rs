//! Log axes of counts: training steps, with a second scale of tokens, and recurrence depths.

use super::log::positive_range;
use super::{Axis, Clamp};
use crate::ticks::{Tick, log_ticks};

/// A second scale of an axis, on the opposite side of the panel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Second {
    pub(crate) label: String,
    /// The ticks. Their places are given as values of the first scale.
    pub(crate) ticks: Vec<Tick>,
    /// The places of unlabelled marks, also given as values of the first scale.
    pub(crate) minor: Vec<f64>,
}

impl Axis {
    /// Makes a log axis from step 1 to the last step. Values measured before the first step are
    /// clamped to step 1.
    pub(crate) fn steps(label: &str, steps: impl IntoIterator<Item = u64>) -> Self {
        let (mut last, mut before) = (1, 0);
        for step in steps {
            last = last.max(step);
            before += usize::from(step == 0);
        }
        let high = last as f64;
        let high = if last == 1 {
            10.0
        } else {
            high * high.powf(0.02)
        };
        Self {
            clamp: Clamp::FirstStep,
            clamped: before,
            ..Self::log_between(label, 1.0, high, 6)
        }
    }

    /// Makes a log axis that spans recurrence depths, with a tick at each depth. Returns `None` if
    /// there are no depths.
    pub(crate) fn depths(label: &str, depths: &[usize]) -> Option<Self> {
        let values = depths.iter().map(|depth| *depth as f64);
        let (low, high, _) = positive_range(values)?;
        let axis = Self::spanning(label, low, high, 0.06);
        let ticks = depths.iter().map(|depth| Tick {
            value: *depth as f64,
            text: depth.to_string(),
        });
        Some(Self {
            minor: Vec::new(),
            ..axis.with_ticks(ticks.collect())
        })
    }

    /// Returns a second scale for this log axis. Its values are `factor` times as large. It has
    /// about four ticks, placed at values of this axis.
    pub(crate) fn scaled(&self, label: &str, factor: f64) -> Second {
        let (ticks, minor) = log_ticks(self.low * factor, self.high * factor, 4);
        let place = |value: f64| value / factor;
        Second {
            label: label.to_owned(),
            ticks: ticks
                .into_iter()
                .map(|tick| Tick {
                    value: place(tick.value),
                    ..tick
                })
                .collect(),
            minor: minor.into_iter().map(place).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[test]
    fn steps_begin_at_one_and_the_state_before_training_is_drawn_there() {
        let axis = Axis::steps("step", [0, 400, 1200]);
        assert_eq!(texts(&axis), ["10⁰", "10¹", "10²", "10³"]);
        assert_eq!(axis.share(0.0), Some(0.0));
        let note = "What was measured before the first step is drawn at step 1.";
        assert_eq!(axis.clamp_note().as_deref(), Some(note));
        assert_eq!(Axis::steps("step", [1, 2]).clamp_note(), None);
    }

    #[test]
    fn a_second_scale_is_placed_in_the_values_of_the_first() {
        let second = Axis::steps("step", [1, 1000]).scaled("tokens", 500.0);
        let ticks: Vec<(f64, &str)> = second
            .ticks
            .iter()
            .map(|tick| (tick.value, tick.text.as_str()))
            .collect();
        assert_eq!(ticks, [(2.0, "10³"), (20.0, "10⁴"), (200.0, "10⁵")]);
    }
}
