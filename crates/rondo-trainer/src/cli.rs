//! The command line, as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use rondo_reference::Element;

use rondo_model::depth::MAX_RECURRENCE;
use rondo_model::exit::ExitCriterion;

use crate::device::DeviceKind;
use crate::states::InitialState;

/// Trains and examines recurrent-depth transformers.
///
/// Exit codes: 0 ok, 1 anything else, 2 usage or configuration, 3 data, 4 checkpoint,
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
    /// `auto` goes on with an interrupted run, `never` refuses to, a directory goes on with that run.
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

/// `trainer eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Run directories.
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Recurrence depths; those of the run's configuration by default.
    #[arg(long, value_delimiter = ',', value_name = "R,R,..", value_parser = depth)]
    pub(crate) recurrence: Vec<usize>,
    /// Let each token stop by itself, under these criteria: `all`, or names with commas between.
    #[arg(long, value_delimiter = ',', value_name = CRITERIA, value_parser = ExitChoice::parse)]
    pub(crate) exit: Vec<ExitChoice>,
    /// The criterion's threshold; the reference's by default.
    #[arg(long, value_name = "X", requires = "exit", allow_negative_numbers = true, value_parser = number)]
    pub(crate) exit_threshold: Option<f64>,
    /// Iterations after which every token stops; the largest depth of the run's model by default.
    #[arg(long, value_name = "N", requires = "exit", value_parser = depth)]
    pub(crate) max_recurrence: Option<usize>,
    /// Draw quality against iterations into this folder.
    #[arg(long, value_name = "DIR", requires = "exit")]
    pub(crate) figures: Option<PathBuf>,
    /// The checkpoint: `latest`, `best` or a step.
    #[arg(long, default_value = "latest")]
    pub(crate) checkpoint: CheckpointChoice,
    /// Evaluate these tokens: a JSON list of ids or of lists, a token shard, or a .safetensors file
    /// with `input_ids`, [batch, seq] or [seq], I64, I32 or U32.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) tokens: Option<PathBuf>,
    /// Evaluate this text: a file, a folder or a glob, tokenized as the run's was.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<String>,
    /// Initial states: drawn from the run's seed, zero, or `initial_state` of a safetensors file.
    #[arg(long, value_name = "seed|zero|FILE", default_value = "seed")]
    pub(crate) initial_state: InitialState,
    /// Validation tokens to evaluate; the run's `eval.tokens` by default.
    #[arg(long, value_name = "N")]
    pub(crate) max_tokens: Option<usize>,
    /// The device.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) device: DeviceKind,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Tokens to run a model on: ids or text.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TokenSource {
    /// Token ids: `input_ids` of a safetensors file, a JSON list of ids or of lists, a token shard.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    /// A text, tokenized as the run's was.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
}

/// `trainer trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// The run directory.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    #[command(flatten)]
    pub(crate) source: TokenSource,
    /// Iterations.
    #[arg(long, value_name = "N", value_parser = depth)]
    pub(crate) recurrence: usize,
    /// Initial states: drawn from the run's seed, zero, or `initial_state` of a safetensors file.
    #[arg(long, value_name = "seed|zero|FILE", default_value = "seed")]
    pub(crate) initial_state: InitialState,
    /// The safetensors file to write: raw_state.0 to N, state.1 to N, logits.1 to N, input_ids.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// Write only the last iteration.
    #[arg(long)]
    pub(crate) last_only: bool,
    /// Draw the first row's convergence and orbits into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) figures: Option<PathBuf>,
    /// The checkpoint: `latest`, `best` or a step.
    #[arg(long, default_value = "latest")]
    pub(crate) checkpoint: CheckpointChoice,
    /// The device.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) device: DeviceKind,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// `trainer generate`.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The run directory.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    #[command(flatten)]
    pub(crate) source: TokenSource,
    /// The row of --tokens to go on from, counted from 0.
    #[arg(long, default_value_t = 0, conflicts_with = "prompt")]
    pub(crate) row: usize,
    /// Iterations per token; the mean depth of the run's training by default.
    #[arg(long, value_name = "N", value_parser = depth, conflicts_with = "exit")]
    pub(crate) recurrence: Option<usize>,
    /// Let each token stop by itself.
    #[arg(long, value_name = CRITERIA, value_parser = criterion)]
    pub(crate) exit: Option<ExitCriterion>,
    /// The criterion's threshold; the reference's by default.
    #[arg(long, value_name = "X", requires = "exit", allow_negative_numbers = true, value_parser = number)]
    pub(crate) exit_threshold: Option<f64>,
    /// Iterations after which a token stops; the largest depth of the run's model by default.
    #[arg(long, value_name = "N", requires = "exit", value_parser = depth)]
    pub(crate) max_recurrence: Option<usize>,
    /// Tokens to generate at most.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(crate) max_tokens: usize,
    /// Divides the logits; 0 takes the likeliest token.
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    pub(crate) temperature: f64,
    /// Draw among the K likeliest tokens.
    #[arg(long, value_name = "K")]
    pub(crate) top_k: Option<usize>,
    /// Draw among the likeliest tokens that reach P together.
    #[arg(
        long,
        value_name = "P",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub(crate) top_p: f64,
    /// Draw among tokens of at least P times the largest probability.
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    pub(crate) min_p: f64,
    /// Make tokens that were there less likely by this factor; 1 changes nothing.
    #[arg(
        long,
        value_name = "X",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub(crate) repetition_penalty: f64,
    /// The seed of the draws.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Let iterations i and i + M share a place in the cache.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) kv_budget: Option<u16>,
    /// Start each token's state from the last latent of the one before.
    #[arg(long)]
    pub(crate) continuous: bool,
    /// Compute the whole sequence again for each token, at a fixed depth.
    #[arg(long, conflicts_with_all = ["exit", "kv_budget", "continuous"])]
    pub(crate) no_cache: bool,
    /// Initial states: drawn from the run's seed, zero, or `initial_state` of a safetensors file.
    #[arg(long, value_name = "seed|zero|FILE", default_value = "seed")]
    pub(crate) initial_state: InitialState,
    /// The checkpoint: `latest`, `best` or a step.
    #[arg(long, default_value = "latest")]
    pub(crate) checkpoint: CheckpointChoice,
    /// The device.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) device: DeviceKind,
    /// Print the text and nothing else.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// Names of the exit criteria, for help texts.
const CRITERIA: &str = "entropy-diff|latent-diff|kl|minp-kl|argmax-stability|cosine";

/// One criterion or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitChoice {
    All,
    One(ExitCriterion),
}

impl ExitChoice {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            name => criterion(name).map(Self::One),
        }
    }
}

/// Reads the name of a criterion.
fn criterion(text: &str) -> Result<ExitCriterion, String> {
    let mut all = ExitCriterion::ALL.into_iter();
    all.find(|criterion| criterion.name() == text)
        .ok_or_else(|| format!("expected {CRITERIA}"))
}

/// Reads a finite number.
fn number(text: &str) -> Result<f64, String> {
    let known: Option<f64> = text.trim().parse().ok();
    known
        .filter(|x| x.is_finite())
        .ok_or_else(|| "expected a number".to_owned())
}

/// Reads a recurrence depth.
fn depth(text: &str) -> Result<usize, String> {
    let known = text.trim().parse().ok();
    known
        .filter(|depth| (1..=MAX_RECURRENCE).contains(depth))
        .ok_or_else(|| format!("a recurrence depth is a number from 1 to {MAX_RECURRENCE}"))
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
    /// Repetitions that are not counted.
    #[arg(long, default_value_t = 2)]
    pub(crate) warmup: usize,
    /// Repetitions that are.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) steps: u16,
    #[command(flatten)]
    pub(crate) json: JsonArg,
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
}

impl BenchWhat {
    /// Returns the name a user types.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Forward => "forward",
            Self::Eval => "eval",
            Self::Generate => "generate",
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

    #[test]
    fn the_help_names_every_criterion() {
        let names: Vec<&str> = ExitCriterion::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(CRITERIA, names.join("|"));
    }
}
