//! The arguments of the commands that measure this program and its devices: bench, selftest.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ConfigArgs, DeviceName, JsonArg, PrecisionName};

/// The arguments of `trainer bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// What to measure.
    #[arg(long, value_enum, default_value = "step")]
    pub(crate) what: BenchWhat,
    /// The size that grows with `--what growth`; by default each of them.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) grow: Vec<Axis>,
    /// Which operations `--what nodes` times; all by default.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) node: Vec<BenchNode>,
    /// Repetitions at the start that are not counted; 2 by default, 3 with `--what nodes`, 1 with
    /// `growth` and `launches`.
    #[arg(long, value_name = "N")]
    pub(crate) warmup: Option<usize>,
    /// Repetitions that are counted; 6 by default, 15 with `--what nodes`, 3 with `growth`, 1 with
    /// `launches`, 10 with `reduce`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) steps: Option<u16>,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}

impl BenchArgs {
    /// Returns how often each measurement is repeated.
    pub(crate) fn rounds(&self) -> Rounds {
        let (warmup, counted) = match self.what {
            BenchWhat::Nodes => (3, 15),
            BenchWhat::Growth => (1, 3),
            BenchWhat::Reduce => (2, 10),
            BenchWhat::Launches => (1, 1),
            _ => (2, 6),
        };
        Rounds {
            warmup: self.warmup.unwrap_or(warmup),
            counted: self.steps.map_or(counted, usize::from),
        }
    }
}

/// How often a measurement is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rounds {
    /// Repetitions at the start that are not counted.
    pub(crate) warmup: usize,
    /// Repetitions that are counted, at least one.
    pub(crate) counted: usize,
}

/// An operation that is timed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchNode {
    /// Attention with its projections, norms and residual connection.
    Attention,
    /// The gated MLP with its norms and residual connection.
    Mlp,
    /// The root-mean-square norm.
    Norm,
    /// The injection, if its kind is linear.
    Injection,
    /// The head, including the loss.
    Head,
    /// The update of every parameter.
    Update,
}

/// What a benchmark measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchWhat {
    /// A whole training step: forward, backward, clipping, update.
    Step,
    /// The forward pass alone, without a graph.
    Forward,
    /// An evaluation at every depth of eval.recurrence.
    Eval,
    /// Generation of one token after another, at two lengths, with and without the cache.
    Generate,
    /// Each operation that is a single node on flex, compared with its composition of Burn
    /// operations.
    Nodes,
    /// Each matrix product of a layer, with every routine that a GPU offers.
    Products,
    /// A training step as iterations, sequences and width grow, compared with its FLOPs.
    Growth,
    /// Sums across the ranks of a run, compared with the engine's own sum and with a copy; needs
    /// mpirun.
    Reduce,
    /// How many kernels a training step, its forward pass and an evaluation launch on a GPU; they
    /// are counted, not timed.
    Launches,
}

impl BenchWhat {
    /// Returns the name that a user types.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Forward => "forward",
            Self::Eval => "eval",
            Self::Generate => "generate",
            Self::Nodes => "nodes",
            Self::Products => "products",
            Self::Growth => "growth",
            Self::Reduce => "reduce",
            Self::Launches => "launches",
        }
    }
}

/// A size of a training step that grows in `--what growth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Axis {
    /// Iterations without gradient.
    N,
    /// Iterations with gradient.
    K,
    /// Tokens in a sequence; the number of sequences stays the same.
    Seq,
    /// d_model; d_ff and the number of heads grow in proportion.
    Width,
}

impl Axis {
    /// Returns the name that a user types.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::N => "n",
            Self::K => "k",
            Self::Seq => "seq",
            Self::Width => "width",
        }
    }
}

/// The arguments of `trainer selftest`.
#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// The device to check.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) device: DeviceName,
    /// Compare with the reference's values in this folder, not with a training run on flex. The
    /// files are config.json, model.safetensors and io.safetensors, as in tests/golden/raven-tiny.
    #[arg(long, value_name = "DIR", conflicts_with = "steps")]
    pub(crate) golden: Option<PathBuf>,
    /// Precision of the device's matrix products. The device is still compared with f32, with a
    /// tolerance for this precision.
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) precision: PrecisionName,
    /// Number of training steps.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) steps: u64,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}
