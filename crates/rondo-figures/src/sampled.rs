//! Counts of the recurrence depths that a run drew.

use std::collections::BTreeMap;

use crate::error::FigureError;
use crate::ticks::number;

/// The largest depth that is accepted.
const DEEPEST: usize = 65_536;
/// The axis does not extend to depths whose probability is below this share of the largest
/// probability.
const TAIL: f64 = 1e-3;

/// The depths that one run drew.
#[derive(Clone, Debug, PartialEq)]
pub struct SampledDepths {
    /// The name of the run.
    pub name: String,
    /// Pairs of a recurrence depth (all iterations, with and without gradient) and the number of
    /// steps with this depth.
    pub counts: Vec<(usize, u64)>,
    /// The mean of the distribution from which the depths are drawn, if it is known.
    pub expected_mean: Option<f64>,
    /// Pairs of a depth and its probability in this distribution; empty if it is not known.
    pub mass: Vec<(usize, f64)>,
}

/// The counts of a run, with each depth once.
pub(crate) struct Histogram<'a> {
    pub(crate) run: &'a SampledDepths,
    pub(crate) counts: BTreeMap<usize, u64>,
    pub(crate) mass: BTreeMap<usize, f64>,
    pub(crate) steps: f64,
}

/// Pairs of the middle of a bar and its height in percent.
pub(crate) struct Bars {
    pub(crate) shares: Vec<(f64, f64)>,
    pub(crate) mass: Vec<(f64, f64)>,
}

impl<'a> Histogram<'a> {
    /// Counts the depths of a run, for the picture with this name.
    ///
    /// # Errors
    /// [`FigureError::Empty`] without steps, [`FigureError::Range`] for a depth outside 1 to 65536.
    pub(crate) fn of(picture: &'static str, run: &'a SampledDepths) -> Result<Self, FigureError> {
        let all = run.counts.iter().map(|(depth, _)| depth);
        let mut all = all.chain(run.mass.iter().map(|(depth, _)| depth));
        if let Some(depth) = all.find(|depth| !(1..=DEEPEST).contains(*depth)) {
            let what = format!("depth of run `{}`", run.name);
            let allowed = format!("1 to {DEEPEST}");
            return Err(FigureError::range(picture, what, allowed, depth));
        }
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        for (depth, steps) in run.counts.iter().filter(|(_, steps)| *steps > 0) {
            let count = counts.entry(*depth).or_default();
            *count = count.saturating_add(*steps);
        }
        let steps: f64 = counts.values().map(|steps| *steps as f64).sum();
        if counts.is_empty() {
            let reason = format!("run `{}` has no sampled depths", run.name);
            return Err(FigureError::empty(picture, reason));
        }
        Ok(Self {
            run,
            counts,
            mass: run.mass.iter().copied().collect(),
            steps,
        })
    }

    /// Returns the largest depth that is shown.
    pub(crate) fn last(&self) -> usize {
        let peak = self.mass.values().copied().fold(0.0, f64::max);
        let likely = self.mass.iter().rev().find(|(_, p)| **p > TAIL * peak);
        let likely = likely.map_or(1, |(depth, _)| *depth);
        self.counts
            .keys()
            .last()
            .map_or(likely, |depth| likely.max(*depth))
    }

    /// Returns the mean depth over the steps.
    pub(crate) fn mean(&self) -> f64 {
        let sum: f64 = self
            .counts
            .iter()
            .map(|(depth, n)| *depth as f64 * *n as f64)
            .sum();
        sum / self.steps
    }

    /// Returns the note above the panel.
    pub(crate) fn summary(&self) -> String {
        let sampled = format!("steps {}, mean {}", self.steps, number(self.mean()));
        match self.run.expected_mean.filter(|mean| mean.is_finite()) {
            Some(expected) => format!("{sampled} (expected {})", number(expected)),
            None => sampled,
        }
    }

    /// Returns the number of depths per bar, so that at most `bars` bars are drawn.
    pub(crate) fn together(&self, bars: usize) -> usize {
        self.last().div_ceil(bars)
    }

    /// Returns bars of `together` depths each, starting at depth 1.
    pub(crate) fn bars(&self, together: usize) -> Bars {
        let middle = |bar: usize| (bar * together) as f64 + f64::midpoint(1.0, together as f64);
        let put_together = |values: &mut dyn Iterator<Item = (usize, f64)>| {
            let mut bars: BTreeMap<usize, f64> = BTreeMap::new();
            for (depth, share) in values.filter(|(depth, _)| *depth <= self.last()) {
                *bars.entry((depth - 1) / together).or_default() += 100.0 * share;
            }
            bars.into_iter()
                .map(|(bar, share)| (middle(bar), share))
                .collect()
        };
        let shares = self
            .counts
            .iter()
            .map(|(depth, n)| (*depth, *n as f64 / self.steps));
        let mass = self.mass.iter().map(|(depth, p)| (*depth, *p));
        Bars {
            shares: put_together(&mut { shares }),
            mass: put_together(&mut { mass }),
        }
    }
}
