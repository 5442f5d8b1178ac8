//! Log axes of values. They span the values, or the values and a given range, or the powers of two
//! around the values.

use super::{Axis, Clamp, FLAT, Scale, range};
use crate::ticks::{MOST, Tick, log_ticks, plain};

impl Axis {
    /// Makes a log axis that spans the positive finite values, with a margin of `margin` times the
    /// span. Returns `None` if there is no such value. Values at or below zero are clamped.
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

    /// Makes a log axis like [`Axis::log`] that also spans the range `covered`, but shows nothing
    /// below `lowest`. Values below the axis are clamped to its floor.
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

    /// Makes an axis that spans the positive finite values. It is a log axis, and its label says
    /// so, if the largest value is more than ten times the smallest; otherwise it is linear.
    pub(crate) fn log_over_a_decade(label: &str, values: &[f64], margin: f64) -> Option<Self> {
        let (low, high, _) = positive_range(values.iter().copied())?;
        match high > 10.0 * low {
            true => Self::log(&format!("{label} (log)"), values.iter().copied(), margin),
            false => Self::linear(label, values.iter().copied(), margin),
        }
    }

    /// Makes a log axis that spans the positive finite values, with a tick at each power of two.
    /// The ticks go from 1 (or the power of two at or below the smallest value, if this is lower)
    /// to the power of two at or above the largest value. Returns `None` if there is no such value.
    /// Values at or below zero are clamped.
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

    /// Makes a log axis that spans two positive values, with a margin on both sides.
    pub(super) fn spanning(label: &str, low: f64, high: f64, margin: f64) -> Self {
        let (low, high) = if high / low < 1.0 + FLAT {
            (low / 1.5, high * 1.5)
        } else {
            let extra = (margin * (high.ln() - low.ln())).exp();
            (low / extra, high * extra)
        };
        let (low, high) = (low.max(f64::MIN_POSITIVE), high.min(f64::MAX));
        Self::log_between(label, low, high, MOST)
    }

    /// Makes a log axis from `low` to `high`, without a margin and with about `most` ticks.
    pub(super) fn log_between(label: &str, low: f64, high: f64, most: usize) -> Self {
        let (ticks, minor) = log_ticks(low, high, most);
        Self {
            minor,
            ..Self::new(label, Scale::Log, low, high).with_ticks(ticks)
        }
    }
}

/// Returns the smallest and the largest positive value, and the number of values at or below zero.
/// Values that are not finite are ignored.
pub(super) fn positive_range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64, usize)> {
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
    fn powers_of_two_span_the_values_from_one() {
        let axis = Axis::powers_of_two("x", [3.0, 33.0]).expect("values");
        assert_eq!(texts(&axis), ["1", "2", "4", "8", "16", "32", "64"]);
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
