//! The command line, as typed.

mod reading;
mod studies;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rondo_reference::Element;

pub(crate) use self::reading::{
    CheckpointsArgs, CompareArgs, EvalArgs, ExitChoice, FigureArgs, FigureName, GenerateArgs,
    TraceArgs,
};
pub(crate) use self::studies::{FitLawArgs, ScheduleArgs, SweepArgs};
use crate::device::DeviceKind;

/// Trains and examines recurrent-depth transformers.
///
/// Exit codes: 0 ok, 1 anything else, 2 usage or configuration, 3 data, 4 checkpoint or tensors,
/// 5 stopped by a rule, 6 device or memory, 75 interrupted and resumable.
#[derive(Debug, Parser)]
#[command(name = "trainer", version, args_conflicts_with_subcommands = true)]
#[command(arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Everything but training.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure loss and perplexity of a run at several recurrence depths.
    Eval(EvalArgs),
    /// Write the state and the logits of every iteration.
    Trace(TraceArgs),
    /// Generate text at a fixed or at an adaptive recurrence depth.
    Generate(GenerateArgs),
    /// Compare runs by their metrics, with a verdict on each.
    Compare(CompareArgs),
    /// Draw a picture from the metrics of runs.
    Figure(FigureArgs),
    /// Show learning rates and curricula without training.
    Schedule(ScheduleArgs),
    /// Train many runs from one file.
    Sweep(SweepArgs),
    /// Fit a law to loss curves, predict others, search the best schedule.
    FitLaw(FitLawArgs),
    /// List the checkpoints of a run, and verify them.
    Checkpoints(CheckpointsArgs),
    /// Make a run directory of a model in the reference's layout.
    Import(ImportArgs),
    /// Write a run's model in the reference's layout.
    Export(ExportArgs),
    /// Build tokenizer and token shards from a corpus.
    Prepare(PrepareArgs),
    /// Measure the speed of training, evaluation or generation.
    Bench(BenchArgs),
    /// List the devices that this build can reach.
    Devices(JsonArg),
    /// Compare a device with flex on a small training run.
    Selftest(SelftestArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// A configuration and what the command line changes in it.
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
    pub(crate) device: Option<DeviceKind>,
}

impl ConfigArgs {
    /// Returns every override, `--device` as one of them.
    pub(crate) fn all_overrides(&self) -> Vec<String> {
        let device = self
            .device
            .map(|kind| format!("device.kind={}", kind.name()));
        self.overrides.iter().cloned().chain(device).collect()
    }
}

/// `--json`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct JsonArg {
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Training, the command without a name.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The run directory; runs/<config name> by default.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// `auto` goes on with an interrupted run, `never` refuses to, a directory goes on with that run,
    /// or from that checkpoint; later ones are set aside.
    #[arg(long, value_name = "auto|never|DIR", default_value = "auto")]
    pub(crate) resume: Resume,
    /// Replace whatever the run directory holds.
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print sizes and costs, try one step at the largest depth, train nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the resolved configuration and stop.
    #[arg(long)]
    pub(crate) print_config: bool,
    /// Print nothing but warnings and errors.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Save and end, as after a signal, when standard input ends: a sweep stops its runs so.
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// What to do about a run directory that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// Go on where there is something to go on with.
    Auto,
    /// Start anew or not at all.
    Never,
    /// Go on with this run, or from this checkpoint of one.
    From(PathBuf),
}

impl Resume {
    /// Returns whether one checkpoint is named, rather than a run.
    pub(crate) fn names_a_checkpoint(&self) -> bool {
        matches!(self, Self::From(path) if path.join("manifest.json").is_file())
    }
}

impl From<&str> for Resume {
    fn from(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "never" => Self::Never,
            path => Self::From(PathBuf::from(path)),
        }
    }
}

/// Which checkpoint of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckpointChoice {
    /// The newest.
    Latest,
    /// The one with the lowest validation loss at the mean depth.
    Best,
    /// The one after this many steps.
    Step(u64),
}

impl std::str::FromStr for CheckpointChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "latest" => Ok(Self::Latest),
            "best" => Ok(Self::Best),
            step => step
                .parse()
                .map(Self::Step)
                .map_err(|_| format!("expected `latest`, `best` or a step number, found `{step}`")),
        }
    }
}

/// `trainer import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A folder with config.json (of model_type huginn_raven) and model.safetensors, or shards with
    /// model.safetensors.index.json, in f32, bf16 or f16; tokenizer.json is taken along.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The run directory to make.
    #[arg(long, value_name = "RUN")]
    pub(crate) out: PathBuf,
    /// Replace whatever the run directory holds.
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// `trainer export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// A run directory.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The checkpoint: `latest`, `best` or a step.
    #[arg(long, default_value = "latest")]
    pub(crate) checkpoint: CheckpointChoice,
    /// The layout.
    #[arg(long, value_enum, default_value = "reference")]
    pub(crate) format: ExportFormat,
    /// The type of the weights.
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) dtype: ExportType,
    /// Replace whatever the folder holds.
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// How a model is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The reference's names and shapes, for its own modelling file.
    Reference,
    /// Our names and shapes, for any structure.
    Rondo,
}

/// The type of exported weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportType {
    /// As they are.
    F32,
    /// Rounded to 16 bits with the range of f32.
    Bf16,
    /// Rounded to 16 bits; a weight beyond 65504 is refused.
    F16,
}

impl ExportType {
    /// Returns the type of the numbers.
    pub(crate) fn element(self) -> Element {
        match self {
            Self::F32 => Element::F32,
            Self::Bf16 => Element::Bf16,
            Self::F16 => Element::F16,
        }
    }
}

/// `trainer prepare`.
#[derive(Debug, Args)]
pub(crate) struct PrepareArgs {
    /// Files, folders or globs; none for the sources of the pinned dependencies.
    #[arg(value_name = "CORPUS")]
    pub(crate) corpus: Vec<String>,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Vocabulary of the byte-level BPE.
    #[arg(long, default_value_t = 4096, conflicts_with_all = ["bytes", "tokenizer"])]
    pub(crate) vocab_size: usize,
    /// Use bytes as tokens.
    #[arg(long, conflicts_with = "tokenizer")]
    pub(crate) bytes: bool,
    /// Use this tokenizer.json.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<String>,
    /// Share of the corpus held out for validation.
    #[arg(long, default_value_t = 0.05)]
    pub(crate) val_fraction: f64,
    /// Read at most this many bytes of text.
    #[arg(long, value_name = "N")]
    pub(crate) max_bytes: Option<u64>,
    /// The field of a .jsonl line that holds the text.
    #[arg(long, default_value = "text")]
    pub(crate) json_field: String,
    /// Print nothing but warnings and errors.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// `trainer bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// What to time.
    #[arg(long, value_enum, default_value = "step")]
    pub(crate) what: BenchWhat,
    /// What grows with `--what growth`; everything by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) grow: Vec<Axis>,
    /// Repetitions that are not counted; 2 by default, 3 with `--what nodes`, 1 with `growth`.
    #[arg(long, value_name = "N")]
    pub(crate) warmup: Option<usize>,
    /// Repetitions that are; 6 by default, 15 with `--what nodes`, 3 with `growth`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) steps: Option<u16>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

impl BenchArgs {
    /// Returns how often everything is repeated.
    pub(crate) fn rounds(&self) -> Rounds {
        let (warmup, counted) = match self.what {
            BenchWhat::Nodes => (3, 15),
            BenchWhat::Growth => (1, 3),
            _ => (2, 6),
        };
        Rounds {
            warmup: self.warmup.unwrap_or(warmup),
            counted: self.steps.map_or(counted, usize::from),
        }
    }
}

/// How often what is timed is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rounds {
    /// At first, without being counted.
    pub(crate) warmup: usize,
    /// Then, at least once.
    pub(crate) counted: usize,
}

/// What a benchmark times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchWhat {
    /// A whole training step: forward, backward, clipping, update.
    Step,
    /// The forward pass alone, without a graph.
    Forward,
    /// An evaluation at every depth of eval.recurrence.
    Eval,
    /// One token after another, at two lengths, with and without the cache.
    Generate,
    /// Each operation that is a single node on flex, beside its composition of Burn operations.
    Nodes,
    /// A training step as iterations, sequences and width grow, beside its FLOPs.
    Growth,
}

impl BenchWhat {
    /// Returns the name a user types.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Forward => "forward",
            Self::Eval => "eval",
            Self::Generate => "generate",
            Self::Nodes => "nodes",
            Self::Growth => "growth",
        }
    }
}

/// What a training step can grow along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Axis {
    /// Iterations without gradient.
    N,
    /// Iterations with gradient.
    K,
    /// Tokens in a sequence, the sequences as many as before.
    Seq,
    /// d_model, with d_ff and the heads in proportion.
    Width,
}

impl Axis {
    /// Returns the name a user types.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::N => "n",
            Self::K => "k",
            Self::Seq => "seq",
            Self::Width => "width",
        }
    }
}

/// `trainer selftest`.
#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// The device to compare with flex.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) device: DeviceKind,
    /// Training steps.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) steps: u64,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
