//! The arguments of import and export, which read and write models, and of prepare, which prepares
//! texts.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rondo_interchange::{Element, Tying};
use rondo_model::depth::MAX_RECURRENCE;
use rondo_train::run_dir::CheckpointChoice;

use super::JsonArg;

/// The arguments of `trainer import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A folder with config.json (of model_type huginn_raven, llama, qwen2, qwen3, olmo2 or ouro)
    /// and the weights in f32, bf16 or f16: model.safetensors, or shards with
    /// model.safetensors.index.json. A tokenizer.json, and the files that Python reads with it, are
    /// copied.
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The run directory to make.
    #[arg(long, value_name = "RUN")]
    pub(crate) out: PathBuf,
    /// Turn the stack of layers into a loop; the rule selects which layers share weights, and the
    /// initial values of these weights.
    #[arg(long = "loop", value_enum, value_name = "RULE", requires = "loops")]
    pub(crate) tying: Option<TyingName>,
    /// Iterations of the loop. The core block gets 1/N of the layers in the loop.
    #[arg(long, value_name = "N", requires = "tying", value_parser = loops)]
    pub(crate) loops: Option<usize>,
    /// Add low-rank pairs of rank R to each iteration ([model.lora]); they approximate the
    /// difference between a layer and its shared weights.
    #[arg(long, value_name = "R", requires = "tying", value_parser = rank)]
    pub(crate) lora_rank: Option<usize>,
    /// Replace whatever the run directory holds.
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// A rule for sharing weights between the layers of a stack.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TyingName {
    /// Layers at the same place in each pass of the loop share weights, which start as the mean of
    /// these layers.
    CycleAverage,
    /// Layers at the same place in each pass of the loop share weights, which start as one layer of
    /// the stack. The layers taken for all places are spread evenly over the stack.
    CycleStepwise,
    /// As cycle-average, but the first and the last layer stay outside the loop, and shared weights
    /// start as the first of the layers that share them.
    MiddleCycleLower,
}

impl From<TyingName> for Tying {
    fn from(name: TyingName) -> Self {
        match name {
            TyingName::CycleAverage => Self::CycleAverage,
            TyingName::CycleStepwise => Self::CycleStepwise,
            TyingName::MiddleCycleLower => Self::MiddleCycleLower,
        }
    }
}

/// Parses a number of loops.
fn loops(text: &str) -> Result<usize, String> {
    let loops = text.parse().ok();
    loops
        .filter(|loops| (1..=MAX_RECURRENCE).contains(loops))
        .ok_or_else(|| format!("a number of loops is from 1 to {MAX_RECURRENCE}"))
}

/// Parses the rank of low-rank pairs.
fn rank(text: &str) -> Result<usize, String> {
    let rank = text.parse().ok();
    rank.filter(|rank| *rank > 0)
        .ok_or_else(|| "a rank is a whole number of at least 1".to_owned())
}

/// The arguments of `trainer export`.
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

/// The names and shapes in which a model is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The names and shapes of the model family with the same structure, for that family's own
    /// modelling file: the reference, or without injection Llama, Qwen2, Qwen3, OLMo 2 or Ouro.
    Reference,
    /// The names and shapes of Rondo, which fit any structure.
    Rondo,
}

/// The type of exported weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportType {
    /// Unchanged, in 32 bits.
    F32,
    /// Rounded to 16 bits with the range of f32.
    Bf16,
    /// Rounded to 16 bits; a weight beyond ±65504 is an error, and weights that become 0 are
    /// counted.
    F16,
}

impl ExportType {
    /// Returns the element type of the files.
    pub(crate) fn element(self) -> Element {
        match self {
            Self::F32 => Element::F32,
            Self::Bf16 => Element::Bf16,
            Self::F16 => Element::F16,
        }
    }
}

/// The arguments of `trainer prepare`.
#[derive(Debug, Args)]
pub(crate) struct PrepareArgs {
    /// Files, folders or globs; by default the sources of the pinned dependencies.
    #[arg(value_name = "CORPUS")]
    pub(crate) corpus: Vec<String>,
    /// Read files of a data set of the Hugging Face Hub instead, at a branch, a tag or a commit.
    /// This needs a build with the feature `hub`.
    #[arg(
        long,
        value_name = "OWNER/NAME[@REVISION]",
        conflicts_with = "corpus",
        requires = "hub_files"
    )]
    pub(crate) hub: Option<String>,
    /// Names and globs of files of the data set, such as `data/train-*.parquet`.
    #[arg(long, value_name = "GLOB", num_args = 1.., requires = "hub")]
    pub(crate) hub_files: Vec<String>,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Size of the vocabulary of the byte-level BPE.
    #[arg(long, default_value_t = 4096, conflicts_with_all = ["bytes", "tokenizer"])]
    pub(crate) vocab_size: usize,
    /// Use bytes as tokens.
    #[arg(long, conflicts_with = "tokenizer")]
    pub(crate) bytes: bool,
    /// Use this tokenizer.json, or the tokenizer.json in this folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<String>,
    /// The token that ends a text; by default eos_token of the tokenizer_config.json beside the
    /// tokenizer, otherwise the first known name.
    #[arg(long, value_name = "NAME", requires = "tokenizer")]
    pub(crate) end_of_text: Option<String>,
    /// Share of the corpus held out for validation.
    #[arg(long, default_value_t = 0.05)]
    pub(crate) val_fraction: f64,
    /// Read at most this many bytes of text.
    #[arg(long, value_name = "N")]
    pub(crate) max_bytes: Option<u64>,
    /// The field of a record or the column of a table that holds the text; `a.b` is b inside a.
    #[arg(long, alias = "json-field", value_name = "KEY", default_value = "text")]
    pub(crate) field: String,
    /// Start another token file after this many tokens.
    #[arg(long, value_name = "N", default_value_t = rondo_data::SHARD_TOKENS, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) shard_tokens: u64,
    /// Skip lines, records and rows that are not documents. Their number is written to corpus.json.
    #[arg(long)]
    pub(crate) skip_bad_lines: bool,
    /// Print nothing but warnings and errors.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) json: JsonArg,
}
