//! The arguments of the commands that explain the program or help to start: explain, new, configs,
//! metrics.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DeviceName, JsonArg};

/// The arguments of `trainer explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A key, the end of a key, a verdict or a term. Without an argument, all of them are listed.
    #[arg(value_name = "KEY|TERM")]
    pub(crate) word: Option<String>,
    /// Print a page of the book's reference as Markdown; `keys` by default.
    #[arg(long, value_enum, value_name = "keys|commands|metrics|exit-codes", num_args = 0..=1)]
    #[arg(
        require_equals = true,
        default_missing_value = "keys",
        hide_possible_values = true
    )]
    #[arg(conflicts_with_all = ["word", "json"])]
    pub(crate) markdown: Option<ReferencePage>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// A page of the book that the program generates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReferencePage {
    /// Every key of a configuration.
    Keys,
    /// Every command.
    Commands,
    /// Every metric and event.
    Metrics,
    /// Every exit code.
    ExitCodes,
}

/// The arguments of `trainer new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The configuration to write.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Text to train on: files, folders or globs.
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    pub(crate) data: Vec<String>,
    /// Minutes that the run may take on this machine.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) minutes: u32,
    /// The device. It is written into the file only if it is given.
    #[arg(long, value_enum)]
    pub(crate) device: Option<DeviceName>,
}

/// The arguments of `trainer configs`.
#[derive(Debug, Args)]
pub(crate) struct ConfigsArgs {
    /// Write these configurations, and the texts and configurations that they need. Existing files
    /// are kept.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// The folder to write into; by default the current one.
    #[arg(long, value_name = "DIR", requires = "names")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// The arguments of `trainer metrics`.
#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// A run directory. Its records are printed as CSV, with a row for each record and a column for
    /// each metric.
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,
    /// The format of a run's records.
    #[arg(
        long,
        value_enum,
        value_name = "csv|tsv",
        requires = "run",
        default_value = "csv",
        hide_default_value = true
    )]
    pub(crate) format: RecordFormat,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// The text format of a run's records, as an alternative to `--json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecordFormat {
    /// Values separated by commas.
    Csv,
    /// Values separated by tabs.
    Tsv,
}

impl RecordFormat {
    /// Returns the character between two values.
    pub(crate) fn delimiter(self) -> u8 {
        match self {
            Self::Csv => b',',
            Self::Tsv => b'\t',
        }
    }
}
