//! Axes: from values to shares of a length, with ticks that people read.
//!
//! A log axis places `v` at `ln(v / low) / ln(high / low)`. It has no place for values at or below
//! zero: they are drawn at the smallest positive value, and the axis counts them.

use crate::font::superscript;

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
}

/// A labelled place on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) value: f64,
    pub(crate) text: String,
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
    clamped: usize,
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
        if high - low <= 1e-12 * low.abs().max(high.abs()) {
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
        let floor = low;
        let (low, high) = if high / low < 1.0 + 1e-9 {
            (low / 1.5, high * 1.5)
        } else {
            let extra = (high / low).powf(margin);
            (low / extra, high * extra)
        };
        let (ticks, minor) = log_ticks(low, high);
        Some(Self {
            minor,
            floor,
            clamped,
            ..Self::new(label, Scale::Log, low, high).with_ticks(ticks)
        })
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

    fn new(label: &str, scale: Scale, low: f64, high: f64) -> Self {
        Self {
            label: label.to_owned(),
            ticks: Vec::new(),
            minor: Vec::new(),
            scale,
            low,
            high,
            floor: low,
            clamped: 0,
        }
    }

    fn with_ticks(mut self, ticks: Vec<Tick>) -> Self {
        self.ticks = ticks;
        self
    }

    /// Returns the share of the axis at which a value lies, 0 at its low and 1 at its high end; `None`
    /// where the value is not finite.
    pub(crate) fn share(&self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        Some(match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.max(self.floor) / self.low).ln() / (self.high / self.low).ln(),
        })
    }

    /// Returns how many values at or below zero are drawn at the smallest positive one.
    pub(crate) fn clamped(&self) -> usize {
        self.clamped
    }

    /// Returns the smallest positive value, at which the clamped ones are drawn.
    pub(crate) fn floor(&self) -> f64 {
        self.floor
    }

    /// Returns the caption's sentence about clamped values, where there are any.
    pub(crate) fn clamp_note(&self) -> Option<String> {
        let (values, are) = match self.clamped {
            0 => return None,
            1 => ("value", "is"),
            _ => ("values", "are"),
        };
        Some(format!(
            "{} {values} of {} at or below zero {are} drawn at the smallest positive one, {}.",
            self.clamped,
            self.label,
            number(self.floor)
        ))
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

/// Returns at most about `most` round numbers in a range: multiples of 1, 2 or 5 times a power of ten.
fn round_ticks(low: f64, high: f64, most: usize) -> Vec<Tick> {
    let raw = (high - low) / most as f64;
    let magnitude = raw.log10().floor() as i32;
    let power = 10.0_f64.powi(magnitude);
    let (factor, carry) = [(1.0, 0), (2.0, 0), (5.0, 0), (10.0, 1)]
        .into_iter()
        .find(|(factor, _)| factor * power >= raw * (1.0 - 1e-9))
        .unwrap_or((10.0, 1));
    let step = factor * power;
    let decimals = usize::try_from(-(magnitude + carry)).unwrap_or(0);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let largest = low.abs().max(high.abs());
    (0..=(last - first).max(0.0) as usize)
        .map(|index| {
            let value = (first + index as f64) * step;
            let text = if (1e-4..1e5).contains(&largest) && decimals <= 6 {
                minus(&format!("{value:.decimals$}"))
            } else {
                number(value)
            };
            Tick { value, text }
        })
        .collect()
}

/// Returns labelled and unlabelled places of a log axis: powers of ten where at least two decades fit,
/// else 1, 2, 5 times a power, else round numbers.
fn log_ticks(low: f64, high: f64) -> (Vec<Tick>, Vec<f64>) {
    let slack = 1.0 + 1e-9;
    let inside = |value: &f64| (low / slack..=high * slack).contains(value);
    let exponents = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let multiples = |factors: &[f64]| -> Vec<f64> {
        exponents
            .clone()
            .flat_map(|e| factors.iter().map(move |factor| factor * 10.0_f64.powi(e)))
            .filter(inside)
            .collect()
    };
    let powers: Vec<i32> = exponents
        .clone()
        .filter(|e| inside(&10.0_f64.powi(*e)))
        .collect();
    if powers.len() >= 3 || (powers.len() == 2 && high / low >= 100.0) {
        let stride = powers.len().div_ceil(9);
        let labelled = powers.iter().step_by(stride).map(|e| Tick {
            value: 10.0_f64.powi(*e),
            text: format!("10{}", superscript(*e)),
        });
        let minor = match powers.len() {
            0..=6 => multiples(&[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]),
            _ => Vec::new(),
        };
        return (labelled.collect(), minor);
    }
    let few = multiples(&[1.0, 2.0, 5.0]);
    if few.len() >= 3 {
        let ticks = few.into_iter().map(|value| Tick {
            value,
            text: number(value),
        });
        let minor = multiples(&[3.0, 4.0, 6.0, 7.0, 8.0, 9.0]);
        return (ticks.collect(), minor);
    }
    (round_ticks(low, high, 5), Vec::new())
}

/// Writes a number for a reader: three significant digits, far from 1 as `2×10⁻⁵`.
pub(crate) fn number(value: f64) -> String {
    if (1e-3..1e5).contains(&value.abs()) || value.abs() <= 0.0 {
        return plain(value);
    }
    let scientific = format!("{value:.2e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = trimmed(digits);
    let power = format!("10{}", superscript(exponent.parse().unwrap_or(0)));
    match digits {
        "1" => power,
        digits => minus(&format!("{digits}×{power}")),
    }
}

/// Writes a number without an exponent, three significant digits where it has decimals.
fn plain(value: f64) -> String {
    let whole_digits = value.abs().max(1e-9).log10().floor() as i32;
    let decimals = usize::try_from(2 - whole_digits).unwrap_or(0);
    minus(trimmed(&format!("{value:.decimals$}")))
}

fn trimmed(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

/// Writes a true minus sign; a rounded zero has none.
fn minus(text: &str) -> String {
    let zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    text.replace('-', if zero { "" } else { "−" })
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
    fn ticks_are_round_and_lie_inside() {
        let linear = Axis::linear("x", [-0.31, 0.72], 0.0).expect("values");
        assert_eq!(texts(&linear), ["−0.2", "0.0", "0.2", "0.4", "0.6"]);
        let decades = Axis::log("y", [0.002, 300.0], 0.0).expect("values");
        assert_eq!(texts(&decades), ["10⁻²", "10⁻¹", "10⁰", "10¹", "10²"]);
        let part = Axis::log("y", [1.2, 30.0], 0.0).expect("values");
        assert_eq!(texts(&part), ["2", "5", "10", "20"]);
        let narrow = Axis::log("y", [10.7, 13.6], 0.0).expect("values");
        assert_eq!(texts(&narrow), ["11", "12", "13"]);
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
    fn numbers_far_from_one_have_an_exponent() {
        for (value, text) in [
            (0.0, "0"),
            (12.5, "12.5"),
            (-0.004, "−0.004"),
            (1e-5, "10⁻⁵"),
            (2.5e7, "2.5×10⁷"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
