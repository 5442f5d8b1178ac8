//! Benchmarks, as typed: which items, and how they are asked.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rondo_tasks::rules::Rules;

use super::reading::at_least_one;

/// What `trainer eval --tasks` asks.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// Score the items of a .jsonl file, or of all such files below a folder: multiple choice, schema, language
    /// modelling, generation or text; may be repeated.
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "tokens")]
    pub(crate) tasks: Vec<PathBuf>,
    /// Whose rules cut and score the items.
    #[arg(long, value_enum, default_value = "lm-eval", requires = "tasks")]
    pub(crate) rules: RulesName,
    /// Examples before each item: the first of NAME_shots.jsonl beside the file, else drawn from the other items.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "tasks")]
    pub(crate) shots: usize,
    /// What stands between a context and its continuation; by default a space, and nothing before the continuation
    /// of language modelling under lm-eval's rules and before an answer.
    #[arg(long, value_name = "TEXT", requires = "tasks")]
    pub(crate) delimiter: Option<String>,
    /// Report items with the same value of this field by themselves, too.
    #[arg(long, value_name = "FIELD", requires = "tasks")]
    pub(crate) by: Option<String>,
    /// Score the first N items of each file.
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "tasks")]
    pub(crate) limit: Option<usize>,
    /// Fit a temperature and an affine readout at each depth on documents, the run's own validation text or --data
    /// PATH, and score the items with them, too.
    #[arg(long, requires = "tasks")]
    pub(crate) controls: bool,
    /// Tokens of documents for --controls; half of them are fitted on, the losses are those of the other half.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = at_least_one, requires = "controls")]
    pub(crate) control_tokens: usize,
    /// The regular expression that finds an answer: its first match, or the first group of that; all of the text by
    /// default.
    #[arg(long, value_name = "REGEX", requires = "tasks")]
    pub(crate) pattern: Option<String>,
    /// A text that ends a generated answer; may be repeated; an empty line by default.
    #[arg(long, value_name = "TEXT", requires = "tasks", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) stop: Vec<String>,
    /// Tokens of a generated answer, at most; 256 by default.
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "tasks")]
    pub(crate) max_new_tokens: Option<usize>,
    /// The folder for every item's outcome; RUN/tasks/step-NUMBER by default.
    #[arg(long, value_name = "DIR", requires = "tasks")]
    pub(crate) out: Option<PathBuf>,
}

/// Whose rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RulesName {
    /// EleutherAI's lm-evaluation-harness: sums of log-likelihoods.
    LmEval,
    /// CORE, as nanochat computes it: mean losses of what differs between the choices.
    Core,
}

impl From<RulesName> for Rules {
    fn from(name: RulesName) -> Self {
        match name {
            RulesName::LmEval => Self::LmEval,
            RulesName::Core => Self::Core,
        }
    }
}
