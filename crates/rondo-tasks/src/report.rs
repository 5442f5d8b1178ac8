//! What a task came to: scores by condition with intervals, and comparisons of conditions and of runs, for all items and
//! for each stratum.

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

/// Resamples of the bootstrap.
pub const RESAMPLES: usize = 2000;

/// What is done to the readout before its loss is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Nothing.
    #[default]
    None,
    /// It is divided by the temperature of its depth.
    Temperature,
    /// Each feature gets the factor and the offset of its depth.
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

/// Under what items are answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The recurrence depth; the most iterations where tokens exit by themselves.
    pub recurrence: usize,
    /// The criterion by which tokens exit; none at a fixed depth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<String>,
    /// What is done to the readout.
    pub control: Control,
}

impl Condition {
    /// Returns the condition of a fixed depth without a control.
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

/// For each condition an entry for each item; none of items that cannot be decided.
pub type ByCondition = Vec<Vec<Option<Outcome>>>;

/// What the items of a task came to in one run.
#[derive(Clone, Debug)]
pub struct RunOutcomes {
    /// The run.
    pub run: String,
    /// The step of its checkpoint.
    pub step: u64,
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// What the items came to.
    pub outcomes: ByCondition,
}

/// What a report says of a task beside its scores, and the fields by which its items are put into strata.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    /// The task's name.
    pub task: &'a str,
    /// Its file.
    pub file: &'a Path,
    /// The kind of its items.
    pub kind: Kind,
    /// Whose rules.
    pub rules: Rules,
    /// Examples before each item.
    pub shots: usize,
    /// Items that lost their earliest tokens, and the tokens they lost.
    pub cuts: (usize, usize),
    /// Of each item.
    pub fields: Vec<&'a BTreeMap<String, String>>,
}

impl<'a> Items<'a> {
    /// Describes a task and how its items became tokens.
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

/// What a task came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskReport {
    /// The task's name.
    pub task: String,
    /// Its file.
    pub file: String,
    /// The kind of its items.
    pub kind: Kind,
    /// Whose rules.
    pub rules: Rules,
    /// Examples before each item.
    pub shots: usize,
    /// Items of the file.
    pub items: usize,
    /// Items of which nothing is scored, because a choice begins another; they count nowhere.
    pub undecided: usize,
    /// Items that lost their earliest tokens.
    pub items_cut: usize,
    /// The tokens they lost.
    pub tokens_cut: usize,
    /// Resamples of each bootstrap.
    pub resamples: usize,
    /// All items first, then each stratum.
    pub strata: Vec<Stratum>,
}

/// What some items of a task came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stratum {
    /// The value of the field that they share; null for all items.
    pub stratum: Option<String>,
    /// How many count.
    pub items: usize,
    /// Each run.
    pub runs: Vec<RunReport>,
    /// The same condition in two runs.
    pub between_runs: Vec<Comparison>,
}

/// What they came to in one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunReport {
    /// The run.
    pub run: String,
    /// The step of its checkpoint.
    pub step: u64,
    /// Each condition.
    pub conditions: Vec<Scored>,
    /// Every two conditions under the same control.
    pub pairs: Vec<Comparison>,
}

/// A score with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The share of items, or bits.
    pub value: f64,
    /// Where 95 % of intervals like this one have the true value: Wilson's of a share, the bootstrap's of bits.
    pub interval: Option<Interval>,
}

/// What they came to under one condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// The condition.
    #[serde(flatten)]
    pub condition: Condition,
    /// By measure.
    #[serde(flatten)]
    pub scores: BTreeMap<Measure, Score>,
    /// exp(−mean log-likelihood of an item); of continuations only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
    /// 2^bits per byte; of texts only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byte_perplexity: Option<f64>,
    /// exp(−Σ log-likelihoods / Σ words); of texts only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub word_perplexity: Option<f64>,
    /// Iterations of a generated token, on average over items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_iterations: Option<f64>,
}

/// Two conditions, or two runs, item by item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What is compared.
    pub measure: Measure,
    /// The first, as `run` and condition.
    pub first: Side,
    /// The second.
    pub second: Side,
    /// The second's score less the first's.
    pub difference: f64,
    /// The paired bootstrap's interval of the difference.
    pub interval: Option<Interval>,
    /// McNemar's test; of shares only.
    #[serde(flatten)]
    pub test: Option<McNemar>,
    /// Its p value adjusted for the number of comparisons of this measure and control beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid_p_holm: Option<f64>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The run.
    pub run: String,
    /// The condition.
    #[serde(flatten)]
    pub condition: Condition,
}

impl TaskReport {
    /// Sums up what runs came to on a task, `by` a field of the items.
    ///
    /// # Errors
    ///
    /// Where no item has the field.
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
