//! The arguments of the command line.
//!
//! This file holds the list of commands, the arguments that several commands share, and the
//! arguments of training.

mod device_name;
mod examples;
mod exchanging;
mod explaining;
mod measuring;
mod other_names;
mod precision_name;
mod prompting;
mod reading;
mod serving;
mod studies;
mod tasks;
mod version;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};
use rondo_train::device::DeviceKind;
use rondo_train::train::Resume;

use crate::shipped::Shipped;

pub(crate) use self::device_name::DeviceName;
pub(crate) use self::exchanging::{ExportArgs, ExportFormat, ImportArgs, PrepareArgs};
pub(crate) use self::explaining::{ConfigsArgs, ExplainArgs, MetricsArgs, NewArgs, ReferencePage};
pub(crate) use self::measuring::{Axis, BenchArgs, BenchNode, BenchWhat, Rounds, SelftestArgs};
pub(crate) use self::precision_name::PrecisionName;
pub(crate) use self::reading::{
    CheckpointsArgs, CompareArgs, EvalArgs, ExitChoice, FigureArgs, FigureLayout, GenerateArgs,
    TraceArgs, WatchArgs,
};
pub(crate) use self::serving::ServeArgs;
pub(crate) use self::studies::{FitLawArgs, ScheduleArgs, SweepArgs};
pub(crate) use self::tasks::TaskArgs;

/// Maximum width of the help, in columns.
const WIDTH: usize = 80;

/// Trains and examines recurrent-depth transformers.
#[derive(Debug, Parser)]
#[command(name = "trainer", version, long_version = version::LONG)]
#[command(args_conflicts_with_subcommands = true, max_term_width = WIDTH)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
#[command(disable_help_flag = true)]
#[command(before_help = examples::FIRST, after_help = examples::train())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Print help.
    // `-h` and `--help` print the same short help, which fits on a screen.
    #[arg(short = 'h', long = "help", global = true, action = ArgAction::HelpShort)]
    _help: Option<bool>,
}

impl Cli {
    /// Reads the command line.
    ///
    /// # Errors
    ///
    /// Returns an error if the command line is not valid, or if it asks for help or the version.
    /// The error holds the text to print.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let words: Vec<OsString> = std::env::args_os().collect();
        if let Some(word) = words.get(1).and_then(|word| word.to_str())
            && let Some(message) = unknown_command(word)
        {
            return Err(Self::command().error(ErrorKind::InvalidSubcommand, message));
        }
        Self::try_parse_from(words)
    }
}

/// Returns a message if the first word is neither a command nor a file.
fn unknown_command(word: &str) -> Option<String> {
    let command = Cli::command();
    let names = || command.get_subcommands().map(clap::Command::get_name);
    let is_path = word.contains(['.', '/', '\\']) || Path::new(word).exists();
    if word.is_empty() || word.starts_with('-') || is_path || names().any(|name| name == word) {
        return None;
    }
    let nearest = || match rondo_config::nearest(word, names()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => "see `trainer --help`".to_owned(),
    };
    let hint = match (other_names::equivalent(word), Shipped::find(word)) {
        (Some(here), _) => format!("here it is {here}"),
        (None, Ok(_)) => {
            format!("a configuration inside the program is: trainer --shipped {word}")
        }
        (None, Err(_)) => nearest(),
    };
    Some(format!("no command and no file is called `{word}`; {hint}"))
}

/// The commands that are called by name.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train; the name of the command may be left out.
    #[command(after_help = examples::train())]
    Train(TrainArgs),
    /// Write a commented configuration for your own data and this machine.
    #[command(after_help = examples::NEW)]
    New(NewArgs),
    /// List the configurations inside the program, or write some of them.
    #[command(after_help = examples::CONFIGS)]
    Configs(ConfigsArgs),
    /// Measure loss and perplexity of runs, or their answers to benchmarks, at several recurrence
    /// depths.
    #[command(after_help = examples::EVAL)]
    Eval(Box<EvalArgs>),
    /// Write the state and the logits of every iteration.
    #[command(after_help = examples::TRACE, override_usage = examples::TRACE_USAGE)]
    Trace(TraceArgs),
    /// Generate text at a fixed or at an adaptive recurrence depth.
    #[command(after_help = examples::GENERATE)]
    Generate(GenerateArgs),
    /// Answer requests for completions over HTTP, in OpenAI's form.
    #[command(after_help = examples::SERVE)]
    Serve(Box<ServeArgs>),
    /// Compare runs by their metrics, with a verdict on each.
    #[command(after_help = examples::COMPARE)]
    Compare(CompareArgs),
    /// Show runs live in the terminal, from their metrics; without a terminal, print one table.
    #[command(after_help = examples::WATCH)]
    Watch(WatchArgs),
    /// Draw a picture from the metrics of runs.
    #[command(after_help = examples::figure())]
    Figure(FigureArgs),
    /// Show learning rates and curricula without training.
    #[command(after_help = examples::SCHEDULE)]
    Schedule(ScheduleArgs),
    /// Train many runs from one file.
    #[command(after_help = examples::SWEEP)]
    Sweep(SweepArgs),
    /// Fit a law to loss curves, predict other curves, search for the best schedule.
    #[command(after_help = examples::FIT_LAW)]
    FitLaw(FitLawArgs),
    /// List the checkpoints of a run, and verify them.
    #[command(after_help = examples::CHECKPOINTS)]
    Checkpoints(CheckpointsArgs),
    /// Make a run directory from a model in the layout of the reference, Llama, Qwen, OLMo 2 or
    /// Ouro.
    #[command(after_help = examples::IMPORT)]
    Import(ImportArgs),
    /// Write a run's model in the layout of the model family with the same structure.
    #[command(after_help = examples::EXPORT)]
    Export(ExportArgs),
    /// Build tokenizer and token shards from a corpus.
    #[command(after_help = examples::PREPARE)]
    Prepare(PrepareArgs),
    /// Measure the speed of training, evaluation or generation.
    #[command(after_help = examples::BENCH)]
    Bench(BenchArgs),
    /// List the devices that this build can reach.
    #[command(after_help = examples::DEVICES)]
    Devices(JsonArg),
    /// Compare a device with flex on a small training run, or with the reference's values.
    #[command(after_help = examples::SELFTEST)]
    Selftest(SelftestArgs),
    /// Explain a key of a configuration, a verdict or a term.
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
    /// Explain each metric and event in a run's metrics.jsonl, or print a run's records as a table.
    #[command(after_help = examples::METRICS)]
    Metrics(MetricsArgs),
    /// Print the JSON Schema of run configurations or of sweep files.
    #[command(after_help = examples::SCHEMA)]
    Schema {
        /// Print the schema of sweep files.
        #[arg(long)]
        sweep: bool,
    },
    /// Print a completion script for a shell.
    #[command(after_help = examples::COMPLETIONS)]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write a page for each command.
    #[command(after_help = examples::MAN)]
    Man {
        /// Write the pages of all commands into this folder.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// A configuration file, and the changes to it on the command line.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Override one key, e.g. `--set model.recurrence.mean=16`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Override device.kind.
    #[arg(long, value_enum)]
    pub(crate) device: Option<DeviceName>,
}

impl TrainArgs {
    /// Returns the configuration file, given with or without `--config`.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.config.config.as_deref().or(self.file.as_deref())
    }
}

impl ConfigArgs {
    /// Returns every override, including `--device`.
    pub(crate) fn all_overrides(&self) -> Vec<String> {
        with_device(&self.overrides, self.device)
    }
}

/// Returns the overrides, followed by the override that `--device` stands for.
fn with_device(overrides: &[String], device: Option<DeviceName>) -> Vec<String> {
    let device = device.map(|name| format!("device.kind={}", DeviceKind::from(name).name()));
    overrides.iter().cloned().chain(device).collect()
}

/// The argument `--json`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct JsonArg {
    /// Print one JSON object, and nothing else, on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The form in which a configuration is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Printed {
    /// Keys and values.
    Plain,
    /// Keys and values with the meaning of each key; keys that are not set are listed too.
    Commented,
}

/// The arguments of training, the default command.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct TrainArgs {
    /// The configuration file, as with --config.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    pub(crate) file: Option<PathBuf>,
    /// Train a configuration from inside the program; it is first written to configs/NAME.toml,
    /// with the text that it reads. Existing files are kept.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["file", "config"])]
    pub(crate) shipped: Option<String>,
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The run directory; by default runs/NAME, where NAME is the name of the configuration and the
    /// overridden keys that change the results, as in runs/main-peak=1e-3.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// `auto` resumes an interrupted run, and `never` refuses to. With a run directory, that run is
    /// resumed. With a checkpoint directory, the run is resumed from that checkpoint, and later
    /// checkpoints are kept as left-*.
    #[arg(long, value_name = "auto|never|DIR", default_value = "auto")]
    pub(crate) resume: Resume,
    /// Replace whatever the run directory holds.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print sizes and costs and try one step at the largest depth, without training.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// With --dry-run: show how much each of N ranks would send, and how much memory it would need.
    #[arg(long, value_name = "N", requires = "dry_run")]
    pub(crate) ranks: Option<NonZeroUsize>,
    /// Start even if the estimated memory exceeds the free memory.
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the resolved configuration and stop; `commented` adds the meaning of each key.
    #[arg(long, value_enum, value_name = "plain|commented", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "plain", hide_possible_values = true)]
    pub(crate) print_config: Option<Printed>,
    /// Print nothing but warnings and errors.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_word_that_is_no_command_is_answered_with_the_nearest_and_a_path_is_a_file() {
        let told = unknown_command("evl").expect("no command");
        assert_eq!(
            told,
            "no command and no file is called `evl`; did you mean `eval`?"
        );
        let told = unknown_command("first").expect("no command");
        assert!(told.ends_with("trainer --shipped first"), "{told}");
        assert_eq!(
            unknown_command("chat").as_deref(),
            Some(
                "no command and no file is called `chat`; here it is trainer generate RUN --prompt TEXT"
            )
        );
        for word in [
            "eval",
            "train",
            "--config",
            "configs/main.toml",
            "main.toml",
        ] {
            assert_eq!(unknown_command(word), None, "{word}");
        }
    }

    #[test]
    fn a_configuration_can_be_named_in_three_ways() {
        for words in [
            &["trainer", "--config", "a.toml"][..],
            &["trainer", "a.toml"],
            &["trainer", "train", "a.toml", "--quiet"],
            &["trainer", "train", "--config", "a.toml"],
        ] {
            let cli = Cli::try_parse_from(words).expect("a command line");
            let args = match &cli.command {
                Some(Command::Train(args)) => args,
                _ => &cli.train,
            };
            assert_eq!(args.path(), Some(Path::new("a.toml")), "{words:?}");
        }
        assert!(Cli::try_parse_from(["trainer", "a.toml", "--config", "b.toml"]).is_err());
    }
}
