//! An axis of a chart, with both of its scales.

use super::{First, Quantity};
use crate::font;
use crate::ticks::{Tick, log_ticks, number, round_ticks};

/// If the range of the values is below this share of their size, the values are drawn as a
/// constant.
const FLAT: f64 = 1e-5;
/// Font size of tick labels, in units of the SVG.
pub(super) const TICK_SIZE: f64 = 12.0;

/// How an axis is laid out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    /// The margin at both ends, as a share of the span.
    margin: f64,
    /// The approximate number of labels.
    labels: usize,
    /// The length of a horizontal axis in units of the SVG; `None` for a vertical axis. The labels
    /// of a horizontal axis must not touch each other.
    length: Option<f64>,
}

impl Limits {
    pub(super) fn across() -> Self {
        Self {
            margin: 0.0,
            labels: 5,
            length: Some(super::drawing::FRAME.width()),
        }
    }

    pub(super) fn upward() -> Self {
        Self {
            margin: 0.04,
            labels: 6,
            length: None,
        }
    }
}

/// A linear or logarithmic range with its ticks.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) log: bool,
    pub(super) low: f64,
    pub(super) high: f64,
    /// Values below a logarithmic scale are drawn at this value.
    pub(super) floor: f64,
    pub(super) ticks: Vec<Tick>,
    /// The places of unlabelled grid lines.
    pub(super) minor: Vec<f64>,
}

impl Scale {
    fn linear(values: impl Iterator<Item = f64>, limits: &Limits) -> Option<Self> {
        let (low, high) = range(values)?;
        let (low, high) = match high - low <= FLAT * low.abs().max(high.abs()) {
            true if low.abs() > 0.0 => (low - 0.5 * low.abs(), high + 0.5 * high.abs()),
            true => (low - 0.5, high + 0.5),
            false => (low, high),
        };
        let extra = limits.margin * (high - low);
        let (low, high) = (low - extra, high + extra);
        (high - low).is_finite().then(|| Self {
            log: false,
            low,
            high,
            floor: low,
            ticks: round_ticks(low, high, limits.labels),
            minor: Vec::new(),
        })
    }

    fn log(
        values: impl Iterator<Item = f64>,
        lowest: Option<f64>,
        limits: &Limits,
    ) -> Option<Self> {
        let lowest = lowest.unwrap_or(f64::MIN_POSITIVE);
        let (floor, top) = range(values.filter(|value| *value > 0.0).map(|v| v.max(lowest)))?;
        let (low, high) = match top / floor < 1.0 + FLAT {
            true => (floor / 1.5, top * 1.5),
            false => {
                let extra = (limits.margin * (top.ln() - floor.ln())).exp();
                (floor / extra, top * extra)
            }
        };
        let (low, high) = (low.max(f64::MIN_POSITIVE), high.min(f64::MAX));
        let (ticks, minor) = log_ticks(low, high, limits.labels);
        Some(Self {
            log: true,
            low,
            high,
            floor,
            ticks,
            minor,
        })
    }

    /// Labels these values instead of round numbers, unless the list is empty.
    fn labelled(mut self, values: &[f64]) -> Self {
        if !values.is_empty() {
            self.ticks = values.iter().copied().map(Tick::of).collect();
            self.minor.clear();
        }
        self
    }

    /// Removes each label that would touch the label before it.
    fn thinned(mut self, limits: &Limits) -> Self {
        let Some(length) = limits.length else {
            return self;
        };
        let mut free = f64::NEG_INFINITY;
        let places: Vec<Option<f64>> = self.ticks.iter().map(|t| self.share(t.value)).collect();
        for (tick, share) in self.ticks.iter_mut().zip(places) {
            let half = font::width(&tick.text, TICK_SIZE) / 2.0;
            let at = share.unwrap_or(0.0) * length;
            match at - half >= free {
                true => free = at + half + 0.5 * TICK_SIZE,
                false => tick.text.clear(),
            }
        }
        self
    }

    /// Returns the place of a value as a share of the axis; `None` if the value is not finite.
    pub(super) fn share(&self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return None;
        }
        let share = match self.log {
            true => {
                let shown = if value < self.low { self.floor } else { value };
                (shown.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
            }
            false => (value - self.low) / (self.high - self.low),
        };
        share.is_finite().then_some(share)
    }
}

/// An axis: its name, its scales, and which scale is shown first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub(super) name: String,
    /// The linear scale, then the logarithmic scale if any value is positive.
    pub(super) scales: Vec<Scale>,
    pub(super) first: usize,
    clamped: usize,
}

impl Axis {
    /// Makes an axis that spans the finite values. Returns `None` if there is no finite value.
    pub(super) fn fit(quantity: &Quantity, limits: &Limits, values: &[f64]) -> Option<Self> {
        range(values.iter().copied())?;
        let all = || {
            values
                .iter()
                .copied()
                .chain(quantity.covered.iter().copied())
        };
        let scales: Vec<Scale> = [
            Scale::linear(all(), limits),
            Scale::log(all(), quantity.lowest, limits),
        ]
        .into_iter()
        .flatten()
        .map(|scale| scale.labelled(&quantity.labelled).thinned(limits))
        .collect();
        let last = scales.len().checked_sub(1)?;
        let wide = range(values.iter().copied().filter(|value| *value > 0.0))
            .is_some_and(|(low, high)| high > 10.0 * low);
        let first = match quantity.first {
            First::Log => last,
            First::LogOverADecade if wide => last,
            First::LogOverADecade | First::Linear => 0,
        };
        Some(Self {
            name: quantity.name.clone(),
            scales,
            first,
            clamped: 0,
        })
    }

    /// Counts the values below the logarithmic scale.
    pub(super) fn counting(mut self, values: impl Iterator<Item = f64>) -> Self {
        let log = self.scales.iter().find(|scale| scale.log);
        self.clamped = log.map_or(0, |log| {
            values
                .filter(|value| value.is_finite() && *value < log.low)
                .count()
        });
        self
    }

    /// Returns the scale shown first.
    pub(super) fn shown(&self) -> &Scale {
        &self.scales[self.first]
    }

    /// Returns a note about the values that the logarithmic scale draws at its floor, if there are
    /// any.
    pub(super) fn note(&self) -> Option<String> {
        let floor = self.scales.iter().find(|scale| scale.log)?.floor;
        let (values, are) = match self.clamped {
            0 => return None,
            1 => ("value", "is"),
            _ => ("values", "are"),
        };
        Some(format!(
            "{} {values} of {} below {} {are} drawn there on the log scale.",
            self.clamped,
            self.name,
            number(floor)
        ))
    }
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .filter(|value| value.is_finite())
        .fold(None, |found, value| {
            let (low, high) = found.unwrap_or((value, value));
            Some((value.min(low), value.max(high)))
        })
}
