//! Axes: they map values to shares of a length, and have ticks at round numbers.
//!
//! This file makes linear axes; the module `log` makes log axes of values, `steps` log axes of
//! steps and depths. A log axis places `v` at `ln(v / low) / ln(high / low)`. Values below the
//! axis are clamped: they are drawn at its floor, and counted.

mod log;
mod steps;

pub(crate) use self::steps::Second;
use crate::ticks::{Tick, number, round_ticks};

/// If the range of the values is below this share of their size, the values are drawn as a
/// constant: rounding errors of a constant in single precision must not look like a curve.
const FLAT: f64 = 1e-5;

/// The scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
}

/// Which values a log axis clamps, and where it draws them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clamp {
    /// Values at or below zero are drawn at the smallest positive value.
    Smallest,
    /// Values below a given floor are drawn at this floor.
    Floor,
    /// Values before the first step are drawn at step 1.
    FirstStep,
}

/// One axis: its range, its ticks, and the number of clamped values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) ticks: Vec<Tick>,
    /// The places of unlabelled grid lines.
    pub(crate) minor: Vec<f64>,
    scale: Scale,
    low: f64,
    high: f64,
    floor: f64,
    clamp: Clamp,
    clamped: usize,
}

impl Axis {
    /// Makes a linear axis that spans the finite values, with a margin of `margin` times the span
    /// on both sides. Returns `None` if no value is finite.
    pub(crate) fn linear(
        label: &str,
        values: impl IntoIterator<Item = f64>,
        margin: f64,
    ) -> Option<Self> {
        let (mut low, mut high) = range(values.into_iter().filter(|v| v.is_finite()))?;
        if high - low <= FLAT * low.abs().max(high.abs()) {
            let half = if low.abs() > 0.0 {
                0.5 * low.abs()
            } else {
                0.5
            };
            (low, high) = (low - half, high + half);
        }
        let extra = margin * (high - low);
        let (low, high) = (low - extra, high + extra);
        Some(Self::new(label, Scale::Linear, low, high).with_ticks(round_ticks(low, high, 6)))
    }

    /// Makes an axis of the integers `first ..= last`, with half a unit of margin on both sides. It
    /// has about `most` ticks, at the multiples of a power of two.
    pub(crate) fn counted(label: &str, first: usize, last: usize, most: usize) -> Self {
        let mut step = 1;
        while (last - first) / step > most {
            step *= 2;
        }
        let ticks = (first.next_multiple_of(step)..=last)
            .step_by(step)
            .map(|value| Tick {
                value: value as f64,
                text: value.to_string(),
            });
        let (low, high) = (first as f64 - 0.5, last as f64 + 0.5);
        Self::new(label, Scale::Linear, low, high).with_ticks(ticks.collect())
    }

    /// Makes an axis of `count` items. The first item is at the far end; on a vertical axis this is
    /// the top.
    pub(crate) fn listed(label: &str, count: usize, ticks: Vec<Tick>) -> Self {
        Self::new(label, Scale::Linear, count as f64 - 0.5, -0.5).with_ticks(ticks)
    }

    fn new(label: &str, scale: Scale, low: f64, high: f64) -> Self {
        Self {
            label: label.to_owned(),
            ticks: Vec::new(),
            minor: Vec::new(),
            scale,
            low,
            high,
            floor: low,
            clamp: Clamp::Smallest,
            clamped: 0,
        }
    }

    fn with_ticks(mut self, ticks: Vec<Tick>) -> Self {
        self.ticks = ticks;
        self
    }

    /// Returns this axis without its texts, for a panel that is above another panel with the same
    /// axis.
    pub(crate) fn unlabelled(&self) -> Self {
        let mut axis = self.clone();
        axis.label.clear();
        axis.ticks.iter_mut().for_each(|tick| tick.text.clear());
        axis
    }

    /// Returns the place of a value as a share of the axis, 0 at its low and 1 at its high end;
    /// `None` if the value is not finite. Values below a log axis are placed at its floor.
    pub(crate) fn share(&self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => {
                let (low, high) = (self.low.ln(), self.high.ln());
                let shown = if value < self.low { self.floor } else { value };
                (shown.ln() - low) / (high - low)
            }
        };
        share.is_finite().then_some(share)
    }

    /// Returns the number of clamped values.
    pub(crate) fn clamped(&self) -> usize {
        self.clamped
    }

    /// Returns the value at which clamped values are drawn.
    pub(crate) fn floor(&self) -> f64 {
        self.floor
    }

    /// Returns the caption's sentence about clamped values, if there are any.
    pub(crate) fn clamp_note(&self) -> Option<String> {
        let (count, label) = (self.clamped, &self.label);
        let (values, are) = match count {
            0 => return None,
            1 => ("value", "is"),
            _ => ("values", "are"),
        };
        let floor = number(self.floor);
        Some(match self.clamp {
            Clamp::Smallest => format!(
                "{count} {values} of {label} at or below zero {are} drawn at the smallest positive one, {floor}."
            ),
            Clamp::Floor => format!("{count} {values} of {label} below {floor} {are} drawn there."),
            Clamp::FirstStep => {
                "What was measured before the first step is drawn at step 1.".into()
            }
        })
    }
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |found, value| {
        let (low, high) = found.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_without_a_drawable_value_is_none() {
        assert_eq!(Axis::log("y", [0.0, f64::NAN], 0.0), None);
        assert_eq!(Axis::linear("y", [f64::INFINITY], 0.0), None);
        assert_eq!(Axis::powers_of_two("x", []), None);
    }

    #[test]
    fn equal_values_lie_in_the_middle() {
        for axis in [
            Axis::log("y", [7.0, 7.0], 0.1),
            Axis::linear("y", [7.0], 0.1),
        ] {
            let axis = axis.expect("a value");
            assert!((axis.share(7.0).expect("finite") - 0.5).abs() < 1e-9);
            assert!(!axis.ticks.is_empty());
        }
    }

    #[test]
    fn the_first_of_a_list_lies_at_the_far_end() {
        let axis = Axis::listed("token", 4, Vec::new());
        assert!((axis.share(0.0).expect("finite") - 0.875).abs() < 1e-12);
    }
}
