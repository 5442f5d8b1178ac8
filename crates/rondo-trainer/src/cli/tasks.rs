//! Arguments of benchmarks: which items are scored, and how.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rondo_tasks::rules::Rules;

use super::reading::at_least_one;

/// Arguments of `trainer eval --tasks`.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// Score the items of a .jsonl file, or of all such files below a folder: multiple choice,
    /// schema, language modelling, generation or text; may be repeated.
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "tokens")]
    pub(crate) tasks: Vec<PathBuf>,
    /// The rules by which items are tokenized and scored.
    #[arg(long, value_enum, default_value = "lm-eval", requires = "tasks")]
    pub(crate) rules: RulesName,
    /// Number of examples before each item. They are the first items of NAME_shots.jsonl beside the
    /// file; without this file, they are drawn from the other items.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "tasks")]
    pub(crate) shots: usize,
    /// The text between a context and its continuation. By default it is a space, but it is empty
    /// before an answer, and before the continuation of language modelling under lm-eval's rules.
    #[arg(long, value_name = "TEXT", requires = "tasks")]
    pub(crate) delimiter: Option<String>,
    /// Also report the items separately for each value of this field.
    #[arg(long, value_name = "FIELD", requires = "tasks")]
    pub(crate) by: Option<String>,
    /// Score the first N items of each file.
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "tasks")]
    pub(crate) limit: Option<usize>,
    /// Fit a temperature and an affine readout at each depth to documents (the run's validation
    /// text, or --data PATH), and also score the items with these two.
    #[arg(long, requires = "tasks")]
    pub(crate) controls: bool,
    /// Number of tokens of documents for --controls. One half is used for fitting, and the losses
    /// are measured on the other half.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = at_least_one, requires = "controls")]
    pub(crate) control_tokens: usize,
    /// The regular expression that finds an answer: the answer is the first match, or the first
    /// group of that match. By default the whole text is the answer.
    #[arg(long, value_name = "REGEX", requires = "tasks")]
    pub(crate) pattern: Option<String>,
    /// A text that ends a generated answer; may be repeated; by default an empty line.
    #[arg(long, value_name = "TEXT", requires = "tasks", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) stop: Vec<String>,
    /// Maximum number of tokens in a generated answer; by default 256.
    #[arg(long, value_name = "N", value_parser = at_least_one, requires = "tasks")]
    pub(crate) max_new_tokens: Option<usize>,
    /// The folder for the outcome of every item; by default RUN/tasks/step-NUMBER.
    #[arg(long, value_name = "DIR", requires = "tasks")]
    pub(crate) out: Option<PathBuf>,
}

/// The rules for benchmarks, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RulesName {
    /// EleutherAI's lm-evaluation-harness: sums of log-likelihoods.
    LmEval,
    /// CORE, as nanochat computes it: mean losses of the tokens that differ between the choices.
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
