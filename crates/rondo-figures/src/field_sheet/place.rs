//! Decides which dots are drawn at their values and which at the edges of the axis. A diverged run
//! must not compress all other runs into a line.

use crate::field_sheet::SheetDot;

/// A failed dot is drawn at its value if its distance from the dots without failure is at most this
/// multiple of their span.
const REACH: f64 = 2.0;
/// The smallest span of the dots without failure, as a share of the largest of their values.
const LEAST: f64 = 0.1;

/// The place of a dot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Placed {
    /// The dot is drawn at its value.
    At(f64),
    /// The dot is drawn at the lower edge.
    Below,
    /// The dot is drawn at the upper edge.
    Above,
}

/// The range of values that an axis shows.
pub(super) struct Places {
    /// The values in this range.
    pub(super) shown: Vec<f64>,
    low: f64,
    high: f64,
}

impl Places {
    /// Spans the values of runs without failure, and of failed runs near them. If every run has
    /// failed, spans all values.
    pub(super) fn of<'a>(dots: impl Iterator<Item = &'a SheetDot>) -> Self {
        let finite: Vec<&SheetDot> = dots.filter(|dot| dot.value.is_finite()).collect();
        let sound = finite.iter().filter(|dot| dot.failure.is_none());
        let sound: Vec<f64> = sound.map(|dot| dot.value).collect();
        let least = sound.iter().copied().fold(f64::INFINITY, f64::min);
        let most = sound.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let span = (most - least).max(LEAST * most.abs());
        let (low, high) = match sound.is_empty() {
            true => (f64::NEG_INFINITY, f64::INFINITY),
            false => (least - REACH * span, most + REACH * span),
        };
        let values = finite.iter().map(|dot| dot.value);
        Self {
            shown: values
                .filter(|value| (low..=high).contains(value))
                .collect(),
            low,
            high,
        }
    }

    /// Returns the place of a dot.
    pub(super) fn of_dot(&self, dot: &SheetDot) -> Placed {
        match dot.value {
            value if value < self.low => Placed::Below,
            value if value <= self.high && value.is_finite() => Placed::At(value),
            _ => Placed::Above,
        }
    }

    /// Returns whether a dot is drawn at an edge instead of at its value.
    pub(super) fn is_at_an_edge(&self, dot: &SheetDot) -> bool {
        !matches!(self.of_dot(dot), Placed::At(_))
    }
}
