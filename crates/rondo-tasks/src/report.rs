//! The report on a task, for all items and for each stratum: the scores under each condition with
//! their intervals, and comparisons of conditions and of runs.

mod series;
mod strata;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use self::series::{Series, between, pairs};
use self::strata::strata;
use crate::item::Kind;
use crate::outcome::{Measure, Outcome};
use crate::rows::Plan;
use crate::rules::Rules;
use crate::statistics::{Interval, McNemar};
use crate::task::Task;

/// The number of resamples of the bootstrap.
pub const RESAMPLES: usize = 2000;

/// A change of the readout (the state that the head reads) before its loss is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// No change.
    #[default]
    None,
    /// The readout is divided by a temperature that belongs to the recurrence depth.
    Temperature,
    /// Each feature of the readout is scaled and shifted by a factor and an offset that belong to
    /// the recurrence depth.
    Affine,
}

impl Control {
    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Temperature => "temperature",
            Self::Affine => "affine",
        }
    }
}

/// The condition under which items are answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The recurrence depth. With an exit criterion, it is the maximum number of iterations.
    pub recurrence: usize,
    /// The criterion at which tokens exit; `None` for a fixed depth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// The change of the readout, if any.
    pub control: Control,
}

impl Condition {
    /// Returns the condition of a fixed depth without a change of the readout.
    pub fn depth(recurrence: usize) -> Self {
        Self {
            recurrence,
            exit: None,
            control: Control::None,
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.exit {
            Some(exit) => f.write_str(exit)?,
            None => write!(f, "{}", self.recurrence)?,
        }
        match self.control {
            Control::None => Ok(()),
            control => write!(f, " {}", control.name()),
        }
    }
}

/// For each condition, the outcome of each item; `None` for an undecided item.
pub type ByCondition = Vec<Vec<Option<Outcome>>>;

/// The outcomes of a task's items in one run.
#[derive(Clone, Debug)]
pub struct RunOutcomes {
    /// The name of the run.
    pub run: String,
    /// The step of the run's checkpoint.
    pub step: u64,
    /// The conditions under which the items were answered.
    pub conditions: Vec<Condition>,
    /// The outcomes of the items under each condition.
    pub outcomes: ByCondition,
}

/// The description of a task in a report, and the fields that group its items into strata.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    /// The task's name.
    pub task: &'a str,
    /// The file of the task.
    pub file: &'a Path,
    /// The kind of the items.
    pub kind: Kind,
    /// The conventions that were followed.
    pub rules: Rules,
    /// The number of examples before each item.
    pub shots: usize,
    /// The number of items that lost their earliest tokens, and the number of these tokens.
    pub cuts: (usize, usize),
    /// The fields of each item.
    pub fields: Vec<&'a BTreeMap<String, String>>,
}

impl<'a> Items<'a> {
    /// Describes a task and how its items were converted to tokens.
    pub fn of(task: &'a Task, plan: &Plan, rules: Rules, shots: usize) -> Self {
        Self {
            task: &task.name,
            file: &task.path,
            kind: task.kind,
            rules,
            shots,
            cuts: plan.cuts(),
            fields: task.items.iter().map(|item| &item.fields).collect(),
        }
    }
}

/// The report on a task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskReport {
    /// The task's name.
    pub task: String,
    /// The file of the task.
    pub file: String,
    /// The kind of the items.
    pub kind: Kind,
    /// The conventions that were followed.
    pub rules: Rules,
    /// The number of examples before each item.
    pub shots: usize,
    /// The number of items in the file.
    pub items: usize,
    /// The number of items that have no scored tokens, because one choice is the beginning of
    /// another. These items are left out everywhere.
    pub undecided: usize,
    /// The number of items that lost their earliest tokens.
    pub items_cut: usize,
    /// The number of the tokens that were lost.
    pub tokens_cut: usize,
    /// The number of resamples of each bootstrap.
    pub resamples: usize,
    /// The results of all items, followed by the results of each stratum.
    pub strata: Vec<Stratum>,
}

/// The results of a group of items.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stratum {
    /// The value of the field that the items share; `None` for the group of all items.
    pub stratum: Option<String>,
    /// The number of items in the group.
    pub items: usize,
    /// The results of each run.
    pub runs: Vec<RunReport>,
    /// Comparisons of the same condition in two runs.
    pub between_runs: Vec<Comparison>,
}

/// The results of one run for a group of items.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunReport {
    /// The name of the run.
    pub run: String,
    /// The step of the run's checkpoint.
    pub step: u64,
    /// The scores under each condition.
    pub conditions: Vec<Scored>,
    /// Comparisons of every two conditions that have the same control.
    pub pairs: Vec<Comparison>,
}

/// A score with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The share of right items, or bits per byte.
    pub value: f64,
    /// The 95 % confidence interval: Wilson's interval for a share, the bootstrap's interval for
    /// bits per byte.
    pub interval: Option<Interval>,
}

/// The scores under one condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// The condition.
    #[serde(flatten)]
    pub condition: Condition,
    /// The score of each measure.
    #[serde(flatten)]
    pub scores: BTreeMap<Measure, Score>,
    /// exp(−mean log-likelihood per item); only for language-modelling continuations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// 2^bits per byte; only for texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte_perplexity: Option<f64>,
    /// exp(−Σ log-likelihoods / Σ words); only for texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word_perplexity: Option<f64>,
    /// The mean number of iterations per generated token, averaged over items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_iterations: Option<f64>,
}

/// A comparison of two conditions, or of two runs, item by item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The compared measure.
    pub measure: Measure,
    /// The first side.
    pub first: Side,
    /// The second side.
    pub second: Side,
    /// The second score minus the first.
    pub difference: f64,
    /// The interval of the difference, from the paired bootstrap.
    pub interval: Option<Interval>,
    /// McNemar's test; only for shares.
    #[serde(flatten)]
    pub test: Option<McNemar>,
    /// The test's p value, adjusted for the number of comparisons with the same measure and
    /// control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid_p_holm: Option<f64>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The name of the run.
    pub run: String,
    /// The condition of this side.
    #[serde(flatten)]
    pub condition: Condition,
}

impl TaskReport {
    /// Makes the report on a task from the outcomes of runs. `by` is the field by which items are
    /// grouped into strata.
    ///
    /// # Errors
    ///
    /// No item has the field `by`.
    ///
    /// # Panics
    ///
    /// Panics where a run does not have an entry for each item.
    pub fn new(
        items: &Items<'_>,
        by: Option<&str>,
        runs: &[RunOutcomes],
    ) -> crate::error::Result<Self> {
        let (items_cut, tokens_cut) = items.cuts;
        let count = items.fields.len();
        let counts = |item: &usize| {
            let mut all = runs.iter().flat_map(|run| &run.outcomes);
            all.all(|condition| condition[*item].is_some())
        };
        let decided: Vec<usize> = (0..count).filter(counts).collect();
        let mut all = vec![stratum(None, &decided, runs)];
        if let Some(field) = by {
            for (name, chosen) in strata(items, field, &decided)? {
                all.push(stratum(Some(name), &chosen, runs));
            }
        }
        Ok(Self {
            task: items.task.to_owned(),
            file: items.file.display().to_string(),
            kind: items.kind,
            rules: items.rules,
            shots: items.shots,
            items: count,
            undecided: count - decided.len(),
            items_cut,
            tokens_cut,
            resamples: RESAMPLES,
            strata: all,
        })
    }
}

fn stratum(name: Option<String>, items: &[usize], runs: &[RunOutcomes]) -> Stratum {
    let series: Vec<Series<'_>> = Measure::ALL
        .into_iter()
        .filter_map(|measure| Series::new(measure, items, runs))
        .collect();
    let of_run = |(number, run): (usize, &RunOutcomes)| RunReport {
        run: run.run.clone(),
        step: run.step,
        conditions: (0..run.conditions.len())
            .map(|condition| scored(&series, (number, condition), run, items))
            .collect(),
        pairs: series
            .iter()
            .flat_map(|series| pairs(series, number, run))
            .collect(),
    };
    Stratum {
        stratum: name,
        items: items.len(),
        runs: runs.iter().enumerate().map(of_run).collect(),
        between_runs: series
            .iter()
            .flat_map(|series| between(series, runs))
            .collect(),
    }
}

fn scored(
    series: &[Series<'_>],
    (number, condition): (usize, usize),
    run: &RunOutcomes,
    items: &[usize],
) -> Scored {
    let outcomes: Vec<&Outcome> = items
        .iter()
        .filter_map(|item| run.outcomes[condition][*item].as_ref())
        .collect();
    let scores: BTreeMap<Measure, Score> = series
        .iter()
        .map(|series| {
            (
                series.measure,
                series.score(series.place(number, condition)),
            )
        })
        .collect();
    let count = outcomes.len() as f64;
    let total = |value: &dyn Fn(&Outcome) -> Option<f64>| -> Option<f64> {
        let values: Option<Vec<f64>> = outcomes.iter().map(|outcome| value(outcome)).collect();
        values
            .filter(|values| !values.is_empty())
            .map(|values| values.iter().sum())
    };
    let loss = total(&|outcome| outcome.loss);
    let words = total(&|outcome| outcome.words.map(|words| words as f64));
    let of_a_continuation =
        |outcome: &&Outcome| outcome.words.is_none() && outcome.loglikelihoods.len() == 1;
    let bits = scores
        .get(&Measure::BitsPerByte)
        .filter(|_| words.is_some());
    Scored {
        condition: run.conditions[condition].clone(),
        perplexity: loss
            .filter(|_| outcomes.iter().all(of_a_continuation))
            .map(|loss| (loss / count).exp()),
        byte_perplexity: bits.map(|bits| bits.value.exp2()),
        word_perplexity: loss.zip(words).map(|(loss, words)| (loss / words).exp()),
        mean_iterations: total(&|outcome| outcome.mean_iterations).map(|sum| sum / count),
        scores,
    }
}

#[cfg(test)]
mod tests;
