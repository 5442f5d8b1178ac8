//! The arguments of the commands that read a run: eval, trace, generate, checkpoints, compare,
//! figure, watch.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rondo_figures::Layout;
use rondo_model::depth::MAX_EVALUATED;
use rondo_model::exit::ExitCriterion;
use rondo_train::initial_states::InitialState;
use rondo_train::run_dir::CheckpointChoice;

use super::prompting::PromptingArgs;
use super::tasks::TaskArgs;
use super::{DeviceName, JsonArg};
use crate::pictures::name::PictureName;
use crate::pictures::sheets::{Asked, SheetMetric};

/// The arguments of `trainer eval`.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Run directories.
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Recurrence depths, which may be larger than in training; by default the depths in the run's
    /// configuration.
    #[arg(long, value_delimiter = ',', value_name = "R,R,..", value_parser = depth)]
    pub(crate) recurrence: Vec<usize>,
    /// Let each token stop at its own depth, by these criteria: `all`, or a list of entropy-diff,
    /// latent-diff, kl, minp-kl, argmax-stability and cosine, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAME,..", value_parser = ExitChoice::parse)]
    pub(crate) exit: Vec<ExitChoice>,
    /// The threshold of the criterion; by default the reference's.
    #[arg(long, value_name = "X", requires = "exit", allow_negative_numbers = true, value_parser = number)]
    pub(crate) exit_threshold: Option<f64>,
    /// Iterations after which every token stops; by default the largest depth of the run's model.
    #[arg(long, value_name = "N", requires = "exit", value_parser = depth)]
    pub(crate) max_recurrence: Option<usize>,
    /// Draw pictures into this folder: quality against iterations with --exit, accuracy against
    /// depth with --tasks.
    #[arg(long, value_name = "DIR")]
    pub(crate) figures: Option<PathBuf>,
    /// The checkpoint: `latest`, `best` or a step.
    #[arg(long, default_value = "latest")]
    pub(crate) checkpoint: CheckpointChoice,
    #[command(flatten)]
    pub(crate) tasks: TaskArgs,
    /// Evaluate these tokens: a JSON list of ids or of lists of ids, a token shard, or a
    /// .safetensors file with `input_ids` of shape batch x seq or seq, I64, I32 or U32.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) tokens: Option<PathBuf>,
    /// Evaluate this text: a file, a folder or a glob, tokenized like the run's text.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: Option<String>,
    #[command(flatten)]
    pub(crate) prompting: PromptingArgs,
    /// The field of a record, or the column of a table, that holds the text; by default the run's
    /// `data.field`.
    #[arg(long, alias = "json-field", value_name = "KEY", requires = "data")]
    pub(crate) field: Option<String>,
    /// Skip lines that are not documents, as the run's `data.skip_bad_lines` does.
    #[arg(long, requires = "data")]
    pub(crate) skip_bad_lines: bool,
    /// Initial states: drawn from the run's seed, zero, or `initial_state` of a safetensors file.
    #[arg(long, value_name = "seed|zero|FILE", default_value = "seed")]
    pub(crate) initial_state: InitialState,
    /// Number of validation tokens to evaluate; by default the run's `eval.tokens`.
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) max_tokens: Option<usize>,
    /// The device.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) device: DeviceName,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// The arguments of `trainer checkpoints`.
#[derive(Debug, Args)]
pub(crate) struct CheckpointsArgs {
    /// The run directory.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Read every checkpoint completely and compare it with its manifest. If one is damaged, the
    /// exit code is 4.
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// The arguments of `trainer compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Run directories; only their metrics are needed. A sweep's directory stands for its runs, and
    /// a quoted pattern such as 'runs/*' for the runs and sweeps that it matches. Runs that differ
    /// only in their seeds form a group.
    #[arg(required = true, value_name = "RUN|SWEEP")]
    pub(crate) runs: Vec<PathBuf>,
    /// Write compare.json, the pictures, and a page with all of them into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// The arguments of `trainer watch`.
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Run directories, including those of runs that have ended or not begun; only their metrics
    /// and configurations are needed. A sweep's directory stands for its runs.
    #[arg(required = true, value_name = "RUN|SWEEP")]
    pub(crate) runs: Vec<PathBuf>,
    /// Seconds between two reads of the files.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = pause)]
    pub(crate) interval: Duration,
}

/// The arguments of `trainer figure`.
#[derive(Debug, Args)]
pub(crate) struct FigureArgs {
    /// The picture.
    #[arg(value_enum, value_name = "NAME")]
    pub(crate) name: PictureName,
    /// Run directories; only their metrics are needed, and for benchmarks the outcomes of `trainer
    /// eval --tasks`. A sweep's directory stands for its finished runs. field-sheet is drawn from
    /// one sweep.
    #[arg(required = true, value_name = "RUN|SWEEP")]
    pub(crate) runs: Vec<PathBuf>,
    /// Also draw the predictions of this law, a file of `trainer fit-law --out`; lr-schedules only.
    #[arg(long, value_name = "FILE")]
    pub(crate) law: Option<PathBuf>,
    /// The arrangement of the panels, by default stacked; sparsity only.
    #[arg(long, value_enum)]
    pub(crate) layout: Option<FigureLayout>,
    /// Draw these tasks only; benchmarks and depth-controls only.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    pub(crate) task: Vec<String>,
    /// Also draw a panel for each value of this field of the benchmark items; benchmarks only.
    #[arg(long, value_name = "FIELD")]
    pub(crate) by: Option<String>,
    /// The keys that the rows of the sheet stand for, or the ends of these keys; by default those
    /// in the sweep file; field-sheet only.
    #[arg(long, value_name = "KEY,..", value_delimiter = ',')]
    pub(crate) rows: Vec<String>,
    /// The keys that the columns of the sheet stand for; field-sheet only.
    #[arg(long, value_name = "KEY,..", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// The metric whose last value is shown for each run; field-sheet only.
    #[arg(long, value_enum)]
    pub(crate) metric: Option<SheetMetric>,
    /// The depths to show, a column for each, for a metric that is measured at several recurrence
    /// depths; field-sheet only.
    #[arg(long = "depth", value_name = "R,..", value_delimiter = ',', value_parser = depth)]
    pub(crate) depths: Vec<usize>,
    /// The folder for NAME.svg, NAME.png and NAME.csv.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

impl FigureArgs {
    /// Returns the part of the arguments that describes the layout of a sheet.
    pub(crate) fn sheet(&self) -> Asked<'_> {
        Asked {
            rows: &self.rows,
            columns: &self.columns,
            metric: self.metric,
            depths: &self.depths,
        }
    }
}

/// The arrangement of a picture's panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FigureLayout {
    /// The panels are one above the other, over a common axis of steps.
    Stacked,
    /// The panels are in one row, each over its own axis of steps.
    SideBySide,
}

impl FigureLayout {
    /// Returns the same arrangement as the type that the pictures use.
    pub(crate) fn layout(self) -> Layout {
        match self {
            Self::Stacked => Layout::Stacked,
            Self::SideBySide => Layout::SideBySide,
        }
    }
}

/// The tokens to run a model on, given as ids or as text.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TokenSource {
    /// Token ids: `input_ids` of a safetensors file, a JSON list of ids or of lists of ids, or a
    /// token shard.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokens: Option<PathBuf>,
    /// A text, tokenized like the run's text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prompt: Option<String>,
}

/// The arguments of `trainer trace`.
#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// The run directory.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    #[command(flatten)]
    pub(crate) source: TokenSource,
    #[command(flatten)]
    pub(crate) prompting: PromptingArgs,
    /// Number of iterations.
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
    pub(crate) device: DeviceName,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// The arguments of `trainer generate`.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// The run directory.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    #[command(flatten)]
    pub(crate) source: TokenSource,
    #[command(flatten)]
    pub(crate) prompting: PromptingArgs,
    /// The row of --tokens to continue, counted from 0.
    #[arg(long, default_value_t = 0, conflicts_with = "prompt")]
    pub(crate) row: usize,
    /// Iterations per token; by default the mean depth of the run's training.
    #[arg(long, value_name = "N", value_parser = depth, conflicts_with = "exit")]
    pub(crate) recurrence: Option<usize>,
    /// Let each token stop at its own depth, by this criterion: entropy-diff, latent-diff, kl,
    /// minp-kl, argmax-stability or cosine. The criterion is evaluated at the newest position, with
    /// the cache `latest-m4` of the reference.
    #[arg(long, value_name = "NAME", value_parser = criterion)]
    pub(crate) exit: Option<ExitCriterion>,
    /// The threshold of the criterion; by default the reference's.
    #[arg(long, value_name = "X", requires = "exit", allow_negative_numbers = true, value_parser = number)]
    pub(crate) exit_threshold: Option<f64>,
    /// Iterations after which a token stops; by default the largest depth of the run's model.
    #[arg(long, value_name = "N", requires = "exit", value_parser = depth)]
    pub(crate) max_recurrence: Option<usize>,
    /// Maximum number of tokens to generate.
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(crate) max_tokens: usize,
    /// The temperature, by which the logits are divided; 0 takes the likeliest token.
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
    /// Draw among the likeliest tokens whose probabilities add up to P.
    #[arg(
        long,
        value_name = "P",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub(crate) top_p: f64,
    /// Draw among the tokens with at least P times the largest probability.
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    pub(crate) min_p: f64,
    /// The factor by which tokens that have already occurred become less likely; 1 changes nothing.
    #[arg(
        long,
        value_name = "X",
        default_value_t = 1.0,
        allow_negative_numbers = true
    )]
    pub(crate) repetition_penalty: f64,
    /// The seed of the random draws.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Let iterations i and i + M share a place in the cache.
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) kv_budget: Option<u16>,
    /// Start each token's state from the last state of the previous token, as the core block
    /// returned it.
    #[arg(long)]
    pub(crate) continuous: bool,
    /// Compute the whole sequence anew for each token; only at a fixed depth.
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
    pub(crate) device: DeviceName,
    /// Print the text and nothing else.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// One exit criterion, or all of them.
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

/// Parses the name of an exit criterion.
fn criterion(text: &str) -> Result<ExitCriterion, String> {
    let mut all = ExitCriterion::ALL.into_iter();
    all.find(|criterion| criterion.name() == text)
        .ok_or_else(|| {
            let names = ExitCriterion::ALL.map(ExitCriterion::name);
            format!("expected one of {}", names.join(", "))
        })
}

/// Parses a finite number.
fn number(text: &str) -> Result<f64, String> {
    let known: Option<f64> = text.trim().parse().ok();
    known
        .filter(|x| x.is_finite())
        .ok_or_else(|| "expected a number".to_owned())
}

/// Parses the seconds between two reads of the files. The lower bound limits the load of a file
/// server, and the upper bound keeps the view current.
fn pause(text: &str) -> Result<Duration, String> {
    let seconds = number(text)?;
    match (0.1..=3600.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err("expected seconds from 0.1 to 3600".to_owned()),
    }
}

/// Parses a number of tokens or items, which must be at least 1.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    let known = text.trim().parse().ok();
    known
        .filter(|&count| count > 0)
        .ok_or_else(|| "expected a number of at least 1".to_owned())
}

/// Parses a recurrence depth.
pub(super) fn depth(text: &str) -> Result<usize, String> {
    let known = text.trim().parse().ok();
    known
        .filter(|depth| (1..=MAX_EVALUATED).contains(depth))
        .ok_or_else(|| format!("a recurrence depth is a number from 1 to {MAX_EVALUATED}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_help_names_every_criterion() {
        let mut cli = Cli::command();
        for command in ["eval", "generate"] {
            let command = cli.find_subcommand_mut(command).expect("a command");
            let help = command.render_help().to_string();
            for criterion in ExitCriterion::ALL {
                assert!(help.contains(criterion.name()), "{help}");
            }
        }
    }
}
