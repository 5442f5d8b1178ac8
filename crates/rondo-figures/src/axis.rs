//! Axes: from values to shares of a length, with ticks that people read.
//!
//! A log axis places `v` at `ln(v / low) / ln(high / low)`. It has no place for values at or below
//! zero: they are drawn at the smallest positive value, and the axis counts them. Steps count from 1.

use crate::ticks::{MOST, Tick, log_ticks, number, plain, round_ticks};

/// Values closer to each other than this share of their size are drawn as one: what single precision
/// leaves of a constant is no shape.
const FLAT: f64 = 1e-5;

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
}

/// Which values a log axis has no place for, and where they are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clamp {
    /// Those at or below zero, at the smallest positive one.
    Smallest,
    /// Those below a floor that was set, at that floor.
    Floor,
    /// Those before the first step, at step 1.
    FirstStep,
}

/// One axis: its range, its ticks, and how many values it had to clamp.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) label: String,
    pub(crate) ticks: Vec<Tick>,
    /// Places of unlabelled grid lines.
    pub(crate) minor: Vec<f64>,
    scale: Scale,
    low: f64,
    high: f64,
    floor: f64,
    clamp: Clamp,
    clamped: usize,
}

/// A second scale of an axis, at the other side of the panel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Second {
    pub(crate) label: String,
    /// Placed in values of the axis it belongs to.
    pub(crate) ticks: Vec<Tick>,
    /// Places without a label, likewise.
    pub(crate) minor: Vec<f64>,
}

impl Axis {
    /// Spans finite values linearly, with a margin of `margin` times the span on both sides; `None`
    /// where there is no finite value.
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

    /// Numbers the integers `first ..= last`, half a unit free on both sides; those with a tick are
    /// multiples of a power of two, about `most` of them.
    pub(crate) fn counted(label: &str, first: usize, last: usize, most: usize) -> Self {
        let mut step = 1;
        while (last - first) / step > most {
            step *= 2;
        }
        let ticks = (first..=last)
            .filter(|value| value % step == 0)
            .map(|value| Tick {
                value: value as f64,
                text: value.to_string(),
            });
        let (low, high) = (first as f64 - 0.5, last as f64 + 0.5);
        Self::new(label, Scale::Linear, low, high).with_ticks(ticks.collect())
    }

    /// Lists `count` things, the first at the far end: at the top where the axis is vertical.
    pub(crate) fn listed(label: &str, count: usize, ticks: Vec<Tick>) -> Self {
        Self::new(label, Scale::Linear, count as f64 - 0.5, -0.5).with_ticks(ticks)
    }

    /// Spans positive finite values on a log scale, with a margin of `margin` times the span; `None`
    /// where there is none. Values at or below zero are counted.
    pub(crate) fn log(
        label: &str,
        values: impl IntoIterator<Item = f64>,
        margin: f64,
    ) -> Option<Self> {
        let (low, high, clamped) = positive_range(values)?;
        Some(Self {
            floor: low,
            clamped,
            ..Self::spanning(label, low, high, margin)
        })
    }

    /// Spans positive finite values as [`Axis::log`] does, and `covered` in any case, but nothing below
    /// `lowest`: what the axis then has no place for is counted and drawn at its floor.
    pub(crate) fn log_covering(
        label: &str,
        values: impl IntoIterator<Item = f64>,
        covered: (f64, f64),
        lowest: f64,
        margin: f64,
    ) -> Self {
        let finite: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        let positive = finite.iter().copied().filter(|v| *v > 0.0);
        let shown = positive.map(|v| v.max(lowest));
        let (low, high) = range(shown.chain([covered.0, covered.1])).unwrap_or(covered);
        let axis = Self::spanning(label, low, high, margin);
        Self {
            floor: low,
            clamp: Clamp::Floor,
            clamped: finite.iter().filter(|v| **v < axis.low).count(),
            ..axis
        }
    }

    /// Spans positive finite values on a log scale where the largest is more than ten times the
    /// smallest, which the label then says; linearly where it is not.
    pub(crate) fn log_over_a_decade(label: &str, values: &[f64], margin: f64) -> Option<Self> {
        let (low, high, _) = positive_range(values.iter().copied())?;
        match high > 10.0 * low {
            true => Self::log(&format!("{label} (log)"), values.iter().copied(), margin),
            false => Self::linear(label, values.iter().copied(), margin),
        }
    }

    /// Spans steps on a log scale from step 1 to the last. What was measured before the first step is
    /// counted, and drawn at step 1.
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

    /// Spans recurrence depths on a log scale, a tick at each of them; `None` where there is none.
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

    /// Returns a second scale of this log axis, on which its values are `factor` times as large: about
    /// four ticks, placed in this axis's own values.
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

    /// Spans positive finite values on a log scale from 1 (or the power of two at or below the
    /// smallest) to the power of two at or above the largest, a tick at each power; `None` where there
    /// is none. Values at or below zero are counted.
    pub(crate) fn powers_of_two(
        label: &str,
        values: impl IntoIterator<Item = f64>,
    ) -> Option<Self> {
        let (low, high, clamped) = positive_range(values)?;
        let first = (low.log2().floor() as i32).min(0);
        let last = (high.log2().ceil() as i32).max(first + 1);
        let ticks = (first..=last).map(|exponent| {
            let value = 2.0_f64.powi(exponent);
            Tick {
                value,
                text: plain(value),
            }
        });
        let margin = 1.12;
        let (from, to) = (2.0_f64.powi(first) / margin, 2.0_f64.powi(last) * margin);
        Some(Self {
            floor: low,
            clamped,
            ..Self::new(label, Scale::Log, from, to).with_ticks(ticks.collect())
        })
    }

    /// Spans two positive values on a log scale, with a margin on both sides.
    fn spanning(label: &str, low: f64, high: f64, margin: f64) -> Self {
        let (low, high) = if high / low < 1.0 + FLAT {
            (low / 1.5, high * 1.5)
        } else {
            let extra = (margin * (high.ln() - low.ln())).exp();
            (low / extra, high * extra)
        };
        let (low, high) = (low.max(f64::MIN_POSITIVE), high.min(f64::MAX));
        Self::log_between(label, low, high, MOST)
    }

    /// Goes from one positive value to a larger one on a log scale, with about `most` ticks.
    fn log_between(label: &str, low: f64, high: f64, most: usize) -> Self {
        let (ticks, minor) = log_ticks(low, high, most);
        Self {
            minor,
            ..Self::new(label, Scale::Log, low, high).with_ticks(ticks)
        }
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

    /// Returns the share of the axis at which a value lies, 0 at its low and 1 at its high end; `None`
    /// where the value is not finite. Values below a log axis lie at its floor.
    pub(crate) fn share(&self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        Some(match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => {
                let (low, high) = (self.low.ln(), self.high.ln());
                let shown = if value < self.low { self.floor } else { value };
                (shown.ln() - low) / (high - low)
            }
        })
    }

    /// Returns how many values are drawn at the floor because they lie below it.
    pub(crate) fn clamped(&self) -> usize {
        self.clamped
    }

    /// Returns the value at which clamped ones are drawn.
    pub(crate) fn floor(&self) -> f64 {
        self.floor
    }

    /// Returns the caption's sentence about clamped values, where there are any.
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

/// Returns the smallest and largest positive value and the number of the others; infinities and NaN
/// count nowhere.
fn positive_range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64, usize)> {
    let finite: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    let (low, high) = range(finite.iter().copied().filter(|v| *v > 0.0))?;
    let clamped = finite.iter().filter(|v| **v <= 0.0).count();
    Some((low, high, clamped))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[test]
    fn ten_lies_in_the_middle_between_one_and_a_hundred() {
        let axis = Axis::log("y", [1.0, 100.0], 0.0).expect("positive values");
        assert!((axis.share(10.0).expect("finite") - 0.5).abs() < 1e-12);
        assert!((axis.share(100.0).expect("finite") - 1.0).abs() < 1e-12);
    }

    #[test]
    fn zero_and_below_are_counted_and_drawn_at_the_smallest_positive_value() {
        let values = [0.0, -3.0, 0.02, 5.0, f64::NAN, f64::NEG_INFINITY];
        let axis = Axis::log("loss", values, 0.0).expect("positive values");
        assert_eq!(axis.clamped(), 2);
        assert_eq!(axis.share(-3.0), axis.share(0.02));
        assert_eq!(axis.share(f64::NAN), None);
        let note =
            "2 values of loss at or below zero are drawn at the smallest positive one, 0.02.";
        assert_eq!(axis.clamp_note().as_deref(), Some(note));
    }

    #[test]
    fn an_axis_without_a_drawable_value_is_none() {
        assert_eq!(Axis::log("y", [0.0, f64::NAN], 0.0), None);
        assert_eq!(Axis::linear("y", [f64::INFINITY], 0.0), None);
        assert_eq!(Axis::powers_of_two("x", []), None);
    }

    #[test]
    fn powers_of_two_span_the_values_from_one() {
        let axis = Axis::powers_of_two("x", [3.0, 33.0]).expect("values");
        assert_eq!(texts(&axis), ["1", "2", "4", "8", "16", "32", "64"]);
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

    #[test]
    fn a_covered_range_is_shown_and_extended_downward_as_far_as_allowed() {
        let axis = |values: &[f64]| {
            let values = values.iter().copied();
            Axis::log_covering("corr", values, (0.1, 1.0), 1e-3, 0.0)
        };
        let (flat, low, tiny) = (axis(&[1.0; 3]), axis(&[0.02, -0.1]), axis(&[1e-9, 0.5]));
        assert_eq!(texts(&flat), ["0.1", "0.2", "0.3", "0.5", "0.7", "1"]);
        assert_eq!(flat.share(1.0), Some(1.0));
        assert_eq!(texts(&low), ["0.02", "0.05", "0.1", "0.2", "0.5", "1"]);
        let note = "1 value of corr below 0.02 is drawn there.";
        assert_eq!(low.clamp_note().as_deref(), Some(note));
        assert_eq!(tiny.share(1e-9), tiny.share(1e-3));
        assert_eq!(tiny.clamped(), 1);
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

    #[test]
    fn more_than_a_decade_is_logarithmic_and_less_is_linear() {
        let label = |values: &[f64]| Axis::log_over_a_decade("p", values, 0.0).map(|a| a.label);
        assert_eq!(label(&[2.0, 30.0]).as_deref(), Some("p (log)"));
        assert_eq!(label(&[13.5, 10.8]).as_deref(), Some("p"));
        assert_eq!(label(&[f64::NAN]), None);
    }

    #[test]
    fn a_tick_between_the_end_of_the_axis_and_the_smallest_value_has_its_own_place() {
        let axis = Axis::log("y", [360.0], 0.0).expect("a positive value");
        let shares: Vec<f64> = axis
            .ticks
            .iter()
            .filter_map(|t| axis.share(t.value))
            .collect();
        assert_eq!(texts(&axis), ["300", "400", "500"]);
        assert!(
            shares.is_sorted() && shares[0] < 0.5 && shares[1] > 0.5,
            "{shares:?}"
        );
        assert_eq!(axis.share(0.0), axis.share(360.0));
    }

    #[test]
    fn the_largest_and_smallest_numbers_have_a_place() {
        let axis = Axis::log("y", [f64::MIN_POSITIVE, f64::MAX], 0.06).expect("positive values");
        assert_eq!(axis.share(f64::MAX), Some(1.0));
        assert!(axis.ticks.len() < 12);
    }
}
