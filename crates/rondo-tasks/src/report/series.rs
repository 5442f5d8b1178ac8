//! One measure over all runs and conditions: its scores with their intervals, and comparisons of
//! two conditions or two runs.

use super::{Comparison, Control, RESAMPLES, RunOutcomes, Score, Side};
use crate::outcome::{Measure, Outcome};
use crate::statistics::{Bootstrap, McNemar, holm, wilson};

/// The seed of the bootstrap. With a fixed seed, every report draws the same items.
const SEED: u64 = 0;

/// For one measure, the values and weights of the items in each run and condition.
pub(super) struct Series<'a> {
    pub(super) measure: Measure,
    runs: &'a [RunOutcomes],
    /// The value and the weight of each item, in the order of runs and conditions.
    values: Vec<Vec<(f64, f64)>>,
    bootstrap: Bootstrap,
}

impl<'a> Series<'a> {
    /// Returns the series. Returns `None` if there are no items, or if an item does not have the
    /// measure.
    pub(super) fn new(measure: Measure, items: &[usize], runs: &'a [RunOutcomes]) -> Option<Self> {
        if items.is_empty() {
            return None;
        }
        let of = |condition: &Vec<Option<Outcome>>| -> Option<Vec<(f64, f64)>> {
            let value = |item: &usize| condition[*item].as_ref()?.value(measure);
            items.iter().map(value).collect()
        };
        let conditions = runs.iter().flat_map(|run| &run.outcomes);
        let values: Vec<Vec<(f64, f64)>> = conditions.map(of).collect::<Option<_>>()?;
        Some(Self {
            bootstrap: Bootstrap::new(&values, RESAMPLES, SEED),
            measure,
            runs,
            values,
        })
    }

    /// Returns the index of a run's condition in the list of all conditions.
    pub(super) fn place(&self, run: usize, condition: usize) -> usize {
        let before = self.runs[..run].iter().map(|run| run.conditions.len());
        before.sum::<usize>() + condition
    }

    fn estimate(&self, place: usize) -> f64 {
        let sum = |part: fn(&(f64, f64)) -> f64| self.values[place].iter().map(part).sum::<f64>();
        sum(|pair| pair.0) / sum(|pair| pair.1)
    }

    pub(super) fn score(&self, place: usize) -> Score {
        let value = self.estimate(place);
        let interval = match self.measure.is_accuracy() {
            true => {
                let hits = self.values[place].iter().filter(|(value, _)| *value > 0.5);
                wilson(hits.count(), self.values[place].len())
            }
            false => self.bootstrap.interval(place),
        };
        Score { value, interval }
    }

    fn compare(&self, first: (usize, usize), second: (usize, usize)) -> Comparison {
        let side = |(run, condition): (usize, usize)| Side {
            run: self.runs[run].run.clone(),
            condition: self.runs[run].conditions[condition].clone(),
        };
        let (a, b) = (self.place(first.0, first.1), self.place(second.0, second.1));
        let answers = self.values[a].iter().zip(&self.values[b]);
        let answers = answers.map(|(a, b)| (a.0 > 0.5, b.0 > 0.5));
        Comparison {
            measure: self.measure,
            first: side(first),
            second: side(second),
            difference: self.estimate(b) - self.estimate(a),
            interval: self.bootstrap.difference(a, b),
            test: self.measure.is_accuracy().then(|| McNemar::of(answers)),
            mid_p_holm: None,
        }
    }
}

/// Adjusts the p values of the comparisons for the number of comparisons in the family.
fn adjusted(mut family: Vec<Comparison>) -> Vec<Comparison> {
    let p = family.iter().map(|one| one.test.map(|test| test.mid_p));
    if let Some(p) = p.collect::<Option<Vec<f64>>>() {
        for (one, p) in family.iter_mut().zip(holm(&p)) {
            one.mid_p_holm = Some(p);
        }
    }
    family
}

/// Compares every two conditions of a run that have the same control.
pub(super) fn pairs(series: &Series<'_>, number: usize, run: &RunOutcomes) -> Vec<Comparison> {
    let under = |control: Control| {
        let conditions = run.conditions.iter().enumerate();
        conditions
            .filter(move |(_, condition)| condition.control == control)
            .map(|(place, _)| place)
    };
    let mut all = Vec::new();
    for control in [Control::None, Control::Temperature, Control::Affine] {
        let mut family = Vec::new();
        for first in under(control) {
            for second in under(control).filter(|second| *second > first) {
                family.push(series.compare((number, first), (number, second)));
            }
        }
        all.extend(adjusted(family));
    }
    all
}

/// Compares every two runs under each condition that both have.
pub(super) fn between(series: &Series<'_>, runs: &[RunOutcomes]) -> Vec<Comparison> {
    let mut family = Vec::new();
    for (a, first) in runs.iter().enumerate() {
        for (b, second) in runs.iter().enumerate().skip(a + 1) {
            for (i, condition) in first.conditions.iter().enumerate() {
                let same = second
                    .conditions
                    .iter()
                    .position(|other| other == condition);
                family.extend(same.map(|j| series.compare((a, i), (b, j))));
            }
        }
    }
    adjusted(family)
}
