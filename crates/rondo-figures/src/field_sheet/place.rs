//! Which dots an axis shows where they are, and which at its edges: a run that has diverged must not press all others into a
//! line.

use crate::field_sheet::SheetDot;

/// How far beyond the sound dots a failed one is shown where it is, as a multiple of what those span.
const REACH: f64 = 2.0;
/// What sound dots span at least, as a share of their size.
const LEAST: f64 = 0.1;

/// Where a dot is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Placed {
    /// At its value.
    At(f64),
    /// At the lower edge.
    Below,
    /// At the upper edge.
    Above,
}

/// What an axis shows.
pub(super) struct Places {
    /// The values that it spans.
    pub(super) shown: Vec<f64>,
    low: f64,
    high: f64,
}

impl Places {
    /// Spans the values of runs that have not failed, and those of failed ones near them. Where all have failed, all.
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

    /// Returns where a dot is drawn.
    pub(super) fn of_dot(&self, dot: &SheetDot) -> Placed {
        match dot.value {
            value if value < self.low => Placed::Below,
            value if value <= self.high && value.is_finite() => Placed::At(value),
            _ => Placed::Above,
        }
    }

    /// Returns whether a dot is not where its value is.
    pub(super) fn is_at_an_edge(&self, dot: &SheetDot) -> bool {
        !matches!(self.of_dot(dot), Placed::At(_))
    }
}
