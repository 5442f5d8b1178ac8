//! `train.loss`: after which iterations the cross entropy counts. A word, or a table whose `kind` is that word and which has the options.
//!
//! The last iteration r of a step always counts; it is what the recorded loss is of. Of the others those count that are chosen and carry
//! gradient, n < i < r: a readout after one of the first n would train the coda alone. A choice by number has a weight for each number, and
//! r has that of the first number that is r or more, or of the largest where all are less. The weights that count are divided by their sum.

use std::borrow::Cow;

use rondo_config::Report;
use rondo_model::depth::{DepthSampler, RecurrenceConfig, Unroll};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// After which iterations the cross entropy counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum DepthLoss {
    /// After the last one.
    #[default]
    Last,
    /// After several: their weighted mean.
    Mean(MeanLoss),
}

/// Options of a mean over iterations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MeanLoss {
    /// Which iterations count, of those with gradient; the last one always does.
    pub iterations: Iterations,
    /// What each of them weighs; divided by their sum.
    pub weights: DepthWeights,
}

/// Which iterations count beside the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "\"all\", numbers of iterations, or { every = n }")]
pub enum Iterations {
    /// `all`.
    Word(AllIterations),
    /// Those with these numbers, counted from 1.
    Numbers(Vec<usize>),
    /// Every n-th, counted back from the last one.
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
    /// n.
    #[schemars(range(min = 1))]
    pub every: usize,
}

impl Default for Iterations {
    fn default() -> Self {
        Self::Word(AllIterations::All)
    }
}

/// What iterations weigh, before they are divided by their sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "\"uniform\", \"rising\", or a number for each number of iterations")]
pub enum DepthWeights {
    /// By a rule.
    Rule(WeightRule),
    /// One for each number of `iterations`.
    Numbers(Vec<f64>),
}

/// A rule for weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WeightRule {
    /// All the same.
    Uniform,
    /// Iteration i weighs i.
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
    /// Its share; those of a step are 1 together.
    pub weight: f64,
}

impl DepthLoss {
    /// Returns whether the last iteration alone counts.
    pub fn is_last(&self) -> bool {
        *self == Self::Last
    }

    /// Returns the terms of a step, in the order of their iterations; that of the last iteration is there in every step.
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

    /// Reports every violation by its key path below `[train.loss]`; `recurrence` says which iterations a step has.
    pub(super) fn validate(&self, recurrence: &RecurrenceConfig, report: Report<'_>) {
        let Self::Mean(mean) = self else {
            return;
        };
        // What is wrong there is reported there.
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
    /// Returns whether iteration `i` is chosen in a pass of `last`.
    fn has(&self, i: usize, last: usize) -> bool {
        match self {
            Self::Word(AllIterations::All) => true,
            Self::Numbers(numbers) => numbers.contains(&i),
            Self::Every(EveryIteration { every }) => (last - i).is_multiple_of((*every).max(1)),
        }
    }
}

impl MeanLoss {
    /// Returns the weight of iteration `i`, which is chosen or the last one.
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
            Iterations::Word(AllIterations::All) => {}
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
            Iterations::Every(_) => {}
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

/// Reports numbers of iterations that no step has, or none of which adds to the last one.
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
    // Of a depth that never changes, the iterations with gradient are known.
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

/// As it is written.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Word(Word),
    Table(Table),
}

/// The word by itself, for the defaults of every option.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Word {
    /// The cross entropy after the last iteration.
    Last,
    /// Its mean over every iteration with gradient.
    Mean,
}

/// A table with options.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Table {
    /// The cross entropy after the last iteration.
    Last {},
    /// Its weighted mean over iterations.
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

/// That of what is written.
impl JsonSchema for DepthLoss {
    fn schema_name() -> Cow<'static, str> {
        "DepthLoss".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    fn loss(toml: &str) -> DepthLoss {
        let set = [format!("train.loss={toml}")];
        let document = RunConfig::document("a.toml", "", &set).expect("TOML");
        document.read::<RunConfig>().expect("readable").train.loss
    }

    fn terms(toml: &str, no_grad: usize, with_grad: usize) -> Vec<(usize, f64)> {
        let unroll = Unroll { no_grad, with_grad };
        let terms = loss(toml).terms(unroll).into_iter();
        terms.map(|term| (term.iteration, term.weight)).collect()
    }

    #[test]
    fn the_last_iteration_counts_in_every_step_and_alone_by_default() {
        assert_eq!(terms("\"last\"", 3, 2), [(5, 1.0)]);
        assert_eq!(
            terms("{ kind = \"mean\", iterations = [1, 2] }", 3, 2),
            [(5, 1.0)]
        );
    }

    #[test]
    fn a_mean_has_the_chosen_iterations_with_gradient() {
        assert_eq!(terms("\"mean\"", 2, 2), [(3, 0.5), (4, 0.5)]);
        let every = "{ kind = \"mean\", iterations = { every = 3 } }";
        // 8, 5 and 2, of which the first two carry gradient.
        assert_eq!(terms(every, 4, 4), [(5, 0.5), (8, 0.5)]);
        let rising = "{ kind = \"mean\", weights = \"rising\" }";
        assert_eq!(terms(rising, 2, 2), [(3, 3.0 / 7.0), (4, 4.0 / 7.0)]);
    }

    #[test]
    fn the_weight_of_the_last_iteration_is_that_of_the_first_number_that_is_not_less() {
        let listed = "{ kind = \"mean\", iterations = [2, 4, 8], weights = [1, 2, 5] }";
        let eighths = |terms: &[(usize, f64)]| {
            let eighths = terms.iter().map(|(i, weight)| (*i, 8.0 * weight));
            eighths.collect::<Vec<_>>()
        };
        assert_eq!(
            eighths(&terms(listed, 0, 8)),
            [(2, 1.0), (4, 2.0), (8, 5.0)]
        );
        // 3 stands for 4, and 12 for 8: then 2, 4, 8 and 12 weigh 1, 2, 5 and 5.
        let thirds = terms(listed, 0, 3);
        assert_eq!(thirds, [(2, 1.0 / 3.0), (3, 2.0 / 3.0)]);
        let beyond = terms(listed, 0, 12);
        let expected = [(2, 1.0), (4, 2.0), (8, 5.0), (12, 5.0)];
        assert_eq!(beyond, expected.map(|(i, weight)| (i, weight / 13.0)));
        assert_eq!(terms(listed, 0, 1), [(1, 1.0)]);
    }

    #[test]
    fn choices_that_add_nothing_to_the_last_iteration_are_refused() {
        let refused = |toml: &str, recurrence: &RecurrenceConfig| {
            let mut found = Vec::new();
            loss(toml).validate(recurrence, &mut |key, message| {
                found.push(format!("{key}: {message}"));
            });
            found
        };
        let fixed = RecurrenceConfig {
            sampler: DepthSampler::Fixed,
            mean: 8,
            backprop_depth: 4,
            ..RecurrenceConfig::default()
        };
        let one = RecurrenceConfig {
            backprop_depth: 1,
            ..fixed.clone()
        };
        let random = RecurrenceConfig {
            sampler: DepthSampler::PoissonLognormalFilling,
            ..fixed.clone()
        };
        for (toml, recurrence, key) in [
            ("\"mean\"", &one, "kind: "),
            (
                "{ kind = \"mean\", iterations = [] }",
                &fixed,
                "iterations: ",
            ),
            (
                "{ kind = \"mean\", iterations = [6, 5] }",
                &fixed,
                "iterations: ",
            ),
            (
                "{ kind = \"mean\", iterations = [0, 8] }",
                &fixed,
                "iterations: ",
            ),
            (
                "{ kind = \"mean\", iterations = [6, 9] }",
                &fixed,
                "iterations: ",
            ),
            (
                "{ kind = \"mean\", iterations = [4, 8] }",
                &fixed,
                "iterations: ",
            ),
            (
                "{ kind = \"mean\", iterations = [8] }",
                &fixed,
                "iterations: ",
            ),
            (
                "{ kind = \"mean\", iterations = { every = 4 } }",
                &fixed,
                "iterations.every: ",
            ),
            (
                "{ kind = \"mean\", iterations = { every = 0 } }",
                &fixed,
                "iterations.every: ",
            ),
            ("{ kind = \"mean\", weights = [1, 2] }", &fixed, "weights: "),
            (
                "{ kind = \"mean\", iterations = [6, 8], weights = [1] }",
                &fixed,
                "weights: ",
            ),
            (
                "{ kind = \"mean\", iterations = [6, 8], weights = [0, 1] }",
                &fixed,
                "weights: ",
            ),
        ] {
            let found = refused(toml, recurrence);
            assert!(
                found.len() == 1 && found[0].starts_with(key),
                "{toml}: {found:?}"
            );
        }
        for (toml, recurrence) in [
            ("\"last\"", &one),
            ("\"mean\"", &fixed),
            ("{ kind = \"mean\", iterations = [5, 8] }", &fixed),
            ("{ kind = \"mean\", iterations = [4, 8] }", &random),
            ("{ kind = \"mean\", iterations = { every = 3 } }", &fixed),
        ] {
            assert_eq!(refused(toml, recurrence), [""; 0], "{toml}");
        }
    }
}
