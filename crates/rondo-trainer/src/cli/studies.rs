//! The arguments of the commands that study many runs and their schedules: schedule, sweep,
//! fit-law.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;
use rondo_laws::LawKind;
use rondo_sweep::Shard;

use super::{DeviceName, JsonArg, with_device};

/// The arguments of `trainer schedule`.
#[derive(Debug, Args)]
pub(crate) struct ScheduleArgs {
    /// Run configurations; a sweep file stands for all of its runs.
    #[arg(required = true, value_name = "CONFIG")]
    pub(crate) configs: Vec<PathBuf>,
    /// Override one key in all of them, e.g. `--set train.steps=1000`; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Steps between rows; a tenth of the run by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) every: Option<u64>,
    /// Draw schedule.svg and schedule.png, with every step in schedule.csv.
    #[arg(long)]
    pub(crate) plot: bool,
    /// The folder for the picture.
    #[arg(long, value_name = "DIR", default_value = ".", requires = "plot")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

/// The arguments of `trainer sweep`.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// The sweep file.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The sweep's directory; by default runs/NAME, after the name of the file.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Number of runs at a time; they share the cores of the processor.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) parallel: NonZeroUsize,
    /// Train only the runs whose number modulo N is I. This divides a sweep among N processes that
    /// share its directory, on one or several hosts.
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Start failed runs again.
    #[arg(long)]
    pub(crate) retry: bool,
    /// Override one key of the base configuration; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Override device.kind.
    #[arg(long, value_enum)]
    pub(crate) device: Option<DeviceName>,
    /// List the runs with their cost, without training.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print nothing but the results, warnings and errors.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

impl SweepArgs {
    /// Returns every override of the base configuration, including `--device`.
    pub(crate) fn all_overrides(&self) -> Vec<String> {
        with_device(&self.overrides, self.device)
    }
}

/// The arguments of `trainer fit-law`.
#[derive(Debug, Args)]
pub(crate) struct FitLawArgs {
    /// The loss curves: run directories, sweeps, metrics.jsonl, CSV tables with step,lr,loss, or
    /// folders of these.
    #[arg(value_name = "CURVE")]
    pub(crate) curves: Vec<PathBuf>,
    /// The law.
    #[arg(long, value_name = "tissue|multi-power", default_value = "multi-power")]
    pub(crate) law: LawKind,
    /// Fit the law to these curves: files, or names of the curves above; by default all of them.
    #[arg(long, value_name = "CURVE", num_args = 1.., value_delimiter = ',')]
    pub(crate) fit: Vec<PathBuf>,
    /// Predict these curves without fitting the law to them; by default all curves that are not
    /// fitted.
    #[arg(long, value_name = "CURVE", num_args = 1.., value_delimiter = ',')]
    pub(crate) predict: Vec<PathBuf>,
    /// Steps of the warm-up, which no law describes; by default the warm-up of the run, and 0 for a
    /// table.
    #[arg(long, value_name = "STEPS")]
    pub(crate) warmup: Option<u64>,
    /// The sum of the learning rates over the warm-up; by default the sum for a linear warm-up.
    #[arg(long, value_name = "SUM", requires = "warmup")]
    pub(crate) warmup_sum: Option<f64>,
    /// Search for the decreasing schedule with the lowest predicted final loss.
    #[arg(long)]
    pub(crate) optimise: bool,
    /// The configuration of the run whose schedule is searched for. A copy with the found schedule
    /// is also written.
    #[arg(long, value_name = "FILE", requires = "optimise")]
    pub(crate) config: Option<PathBuf>,
    /// Steps of the searched schedule; by default as many as in the longest curve.
    #[arg(
        long,
        value_name = "N",
        requires = "optimise",
        conflicts_with = "config"
    )]
    pub(crate) steps: Option<u64>,
    /// Peak of the searched schedule; by default the peak of the longest curve.
    #[arg(
        long,
        value_name = "LR",
        requires = "optimise",
        conflicts_with = "config"
    )]
    pub(crate) peak: Option<f64>,
    /// Floor of the searched schedule; by default 0.
    #[arg(
        long,
        value_name = "LR",
        requires = "optimise",
        conflicts_with = "config"
    )]
    pub(crate) floor: Option<f64>,
    /// Write fit-law.json, the picture and the searched schedule into this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}
