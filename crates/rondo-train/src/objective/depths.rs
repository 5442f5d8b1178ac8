//! `train.loss`: the iterations whose cross entropy counts. The key is a word, or a table with
//! options in which the word is the `kind`.
//!
//! The last iteration r of a step always counts, and its cross entropy is the recorded loss. An
//! earlier iteration i counts if the configuration chooses it and it carries gradient, that is, n <
//! i < r, where n is the number of iterations without gradient. A readout after one of the first n
//! iterations would train only the coda.
//!
//! If iterations are chosen by number, each number has a weight. The weight of r is then the weight
//! of the first number that is at least r, or of the largest number if all numbers are less than r.
//! The weights that count are divided by their sum.

use rondo_config::Report;
use rondo_model::depth::{DepthSampler, RecurrenceConfig, Unroll};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The iterations whose cross entropy counts in the loss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
pub enum DepthLoss {
    /// Only the last iteration.
    #[default]
    Last,
    /// Several iterations. The loss is the weighted mean of their cross entropies.
    Mean(MeanLoss),
}

/// The options of a mean over several iterations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MeanLoss {
    /// The iterations that count, among those with gradient. The last iteration always counts.
    pub iterations: Iterations,
    /// The weights of these iterations. They are divided by their sum.
    pub weights: DepthWeights,
}

/// The iterations that count in addition to the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "\"all\", numbers of iterations, or { every = n }")]
pub enum Iterations {
    /// The word `all`.
    Word(AllIterations),
    /// The iterations with these numbers, counted from 1.
    Numbers(Vec<usize>),
    /// Every n-th iteration, counted back from the last one.
    Every(EveryIteration),
}

/// The word for every iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AllIterations {
    /// Every iteration with gradient.
    All,
}

/// Every n-th iteration, counted back from the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EveryIteration {
    /// The distance from one iteration to the next.
    #[schemars(range(min = 1))]
    pub every: usize,
}

impl Default for Iterations {
    fn default() -> Self {
        Self::Word(AllIterations::All)
    }
}

/// The weights of iterations, before they are divided by their sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "\"uniform\", \"rising\", or a number for each number of iterations")]
pub enum DepthWeights {
    /// A rule for the weights.
    Rule(WeightRule),
    /// One weight for each of the numbers in `iterations`.
    Numbers(Vec<f64>),
}

/// A rule for the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeightRule {
    /// All weights are equal.
    Uniform,
    /// Iteration i has the weight i.
    Rising,
}

impl Default for DepthWeights {
    fn default() -> Self {
        Self::Rule(WeightRule::Uniform)
    }
}

/// A term of a step's loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Term {
    /// The iteration after which the model is read out.
    pub iteration: usize,
    /// The weight of the term. The weights of a step add up to 1.
    pub weight: f64,
}

impl DepthLoss {
    /// Returns whether only the last iteration counts.
    pub fn is_last(&self) -> bool {
        *self == Self::Last
    }

    /// Returns the terms of a step, in the order of iterations. The term of the last iteration is
    /// always included.
    pub fn terms(&self, unroll: Unroll) -> Vec<Term> {
        let last = unroll.total();
        let Self::Mean(mean) = self else {
            return vec![Term {
                iteration: last,
                weight: 1.0,
            }];
        };
        let earlier = (unroll.no_grad + 1..last).filter(|i| mean.iterations.has(*i, last));
        let mut terms: Vec<Term> = earlier
            .chain([last])
            .map(|iteration| Term {
                iteration,
                weight: mean.weight(iteration),
            })
            .collect();
        let sum: f64 = terms.iter().map(|term| term.weight).sum();
        terms.iter_mut().for_each(|term| term.weight /= sum);
        terms
    }

    /// Reports every violation with its key below `[train.loss]`. `recurrence` defines the
    /// iterations of a step.
    pub(super) fn validate(&self, recurrence: &RecurrenceConfig, report: Report<'_>) {
        let Self::Mean(mean) = self else {
            return;
        };
        // Wrong values in `recurrence` itself are reported with its own section.
        if recurrence.max == 0 || recurrence.mean == 0 || recurrence.backprop_depth == 0 {
            return;
        }
        let largest = recurrence.largest();
        if largest.with_grad < 2 {
            report(
                "kind",
                format!(
                    "mean needs two iterations with gradient, and a step has no more than {}; raise \
                     model.recurrence.backprop_depth, or leave train.loss out",
                    largest.with_grad
                ),
            );
            return;
        }
        mean.validate(recurrence, largest, report);
    }
}

impl Iterations {
    /// Returns whether iteration `i` is chosen, if the last iteration is `last`.
    fn has(&self, i: usize, last: usize) -> bool {
        match self {
            Self::Word(AllIterations::All) => true,
            Self::Numbers(numbers) => numbers.contains(&i),
            Self::Every(EveryIteration { every }) => (last - i).is_multiple_of((*every).max(1)),
        }
    }
}

impl MeanLoss {
    /// Returns the weight of iteration `i`, which is either chosen or the last one.
    fn weight(&self, i: usize) -> f64 {
        match &self.weights {
            DepthWeights::Rule(WeightRule::Uniform) => 1.0,
            DepthWeights::Rule(WeightRule::Rising) => i as f64,
            DepthWeights::Numbers(weights) => {
                let Iterations::Numbers(numbers) = &self.iterations else {
                    return 1.0;
                };
                let place = numbers.iter().position(|number| *number >= i);
                let found = place.map_or(weights.last(), |place| weights.get(place));
                found.copied().unwrap_or(1.0)
            }
        }
    }

    fn validate(&self, recurrence: &RecurrenceConfig, largest: Unroll, report: Report<'_>) {
        match &self.iterations {
            Iterations::Every(EveryIteration { every: 0 }) => {
                report("iterations.every", "must be at least 1, found 0".into());
            }
            Iterations::Every(EveryIteration { every }) if *every >= largest.with_grad => report(
                "iterations.every",
                format!(
                    "must be less than the {} iterations with gradient, or the last one alone counts; found {every}",
                    largest.with_grad
                ),
            ),
            Iterations::Word(AllIterations::All) | Iterations::Every(_) => {}
            Iterations::Numbers(numbers) => {
                validate_numbers(numbers, recurrence, largest, report);
            }
        }
        let DepthWeights::Numbers(weights) = &self.weights else {
            return;
        };
        match &self.iterations {
            Iterations::Numbers(numbers) if numbers.len() != weights.len() => report(
                "weights",
                format!(
                    "must be one for each of the {} iterations, found {}",
                    numbers.len(),
                    weights.len()
                ),
            ),
            Iterations::Numbers(_) => {}
            Iterations::Word(_) | Iterations::Every(_) => report(
                "weights",
                "numbers need iterations by number, as how many count depends on the step; take \"uniform\" or \
                 \"rising\""
                    .into(),
            ),
        }
        if let Some(wrong) = weights.iter().find(|w| !(w.is_finite() && **w > 0.0)) {
            report(
                "weights",
                format!("must be positive numbers, found {wrong}"),
            );
        }
    }
}

/// Reports numbers of iterations that no step reaches or that never carry gradient. Also reports a
/// list that contains only the last iteration.
fn validate_numbers(
    numbers: &[usize],
    recurrence: &RecurrenceConfig,
    largest: Unroll,
    report: Report<'_>,
) {
    let key = "iterations";
    let Some(&first) = numbers.first() else {
        report(key, "must name at least one iteration".into());
        return;
    };
    if first == 0 || numbers.windows(2).any(|pair| pair[0] >= pair[1]) {
        report(
            key,
            format!("must be rising numbers from 1 on, found {numbers:?}"),
        );
        return;
    }
    let deepest = largest.total();
    if let Some(beyond) = numbers.iter().find(|number| **number > deepest) {
        report(
            key,
            format!("no step has more than {deepest} iterations, found {beyond}"),
        );
        return;
    }
    // If the depth never changes, the iterations with gradient are known.
    let is_fixed =
        recurrence.sampler == DepthSampler::Fixed && recurrence.curriculum.lengths().is_empty();
    let without = if is_fixed { largest.no_grad } else { 0 };
    if let Some(free) = numbers.iter().find(|number| **number <= without) {
        report(
            key,
            format!(
                "iteration {free} never carries gradient: of {deepest} the last {} do; leave it out, or raise \
                 model.recurrence.backprop_depth",
                largest.with_grad
            ),
        );
    } else if first == deepest {
        report(
            key,
            format!(
                "{first} is the last iteration, which always counts: leave train.loss out, or name earlier ones"
            ),
        );
    }
}

/// The two forms of the key in a configuration.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Word(Word),
    Table(Table),
}

/// Only the word. Every option has its default.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Word {
    /// The cross entropy after the last iteration.
    Last,
    /// The mean of the cross entropies over every iteration with gradient.
    Mean,
}

/// A table with options.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Table {
    /// The cross entropy after the last iteration.
    Last {},
    /// The weighted mean of the cross entropies over iterations.
    Mean(MeanLoss),
}

impl From<Written> for DepthLoss {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::Last) | Written::Table(Table::Last {}) => Self::Last,
            Written::Word(Word::Mean) => Self::Mean(MeanLoss::default()),
            Written::Table(Table::Mean(options)) => Self::Mean(options),
        }
    }
}

impl From<DepthLoss> for Written {
    fn from(loss: DepthLoss) -> Self {
        match loss {
            DepthLoss::Last => Self::Word(Word::Last),
            DepthLoss::Mean(options) => Self::Table(Table::Mean(options)),
        }
    }
}

#[cfg(test)]
mod tests;
