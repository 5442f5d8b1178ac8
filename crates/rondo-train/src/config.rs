//! The configuration of a run: a strict TOML file as the user wrote it ([`RunConfig`]), and the
//! configuration in which every size is known ([`ResolvedConfig`]).
//!
//! Reading reports all violations together, each with its key, its line and a suggestion, before
//! any file is written.

mod aliases;
pub mod file;
mod prompts;
mod resolved;
mod validate;
mod warnings;

use std::path::Path;

use rondo_config::Document;
use rondo_data::DataConfig;
use rondo_diagnosis::DiagnosisConfig;
use rondo_model::config::{ModelConfig, ModelSection};
use rondo_model::depth::MAX_EVALUATED;
use rondo_schedule::control::ControlConfig;
use rondo_schedule::{Run, ScheduleConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::aliases::{ALIASES, alias};
pub use self::prompts::Prompts;
pub use self::resolved::{ResolvedConfig, ResolvedEval, ResolvedTrain};
pub(crate) use self::warnings::validation_warning;
use crate::device::DeviceConfig;
use crate::distributed::DistributedConfig;
use crate::error::{Error, Result};
use crate::guard::{NonfiniteRule, SpikeRule};
use crate::objective::{DepthLoss, PenaltyConfig};
use crate::optim::OptimizerConfig;
use crate::perturb::Perturbation;
use crate::plan::rates;

/// Everything that defines a run, as the user wrote it. Sizes that follow from the data may be left
/// out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// `[run]`.
    pub run: RunSection,
    /// `[device]`.
    pub device: DeviceConfig,
    /// `[data]`.
    pub data: DataConfig,
    /// `[model]`.
    pub model: ModelSection,
    /// `[optimizer]`.
    pub optimizer: OptimizerConfig,
    /// `[schedule]`.
    pub schedule: ScheduleConfig,
    /// `[train]`.
    pub train: TrainConfig,
    /// `[eval]`.
    pub eval: EvalConfig,
    /// `[checkpoint]`.
    pub checkpoint: CheckpointConfig,
    /// `[metrics]`.
    pub metrics: MetricsConfig,
    /// `[diagnosis]`.
    pub diagnosis: DiagnosisConfig,
    /// `[distributed]`.
    pub distributed: DistributedConfig,
    /// `[init]`: another run, whose weights this run starts from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<InitFrom>,
    /// `[[perturb]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub perturb: Vec<Perturbation>,
    /// `[controller]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<ControlConfig>,
}

/// `[run]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunSection {
    /// The seed from which every random number of the run is derived.
    pub seed: u64,
}

/// `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// The length of the run in steps. Give either this or `tokens`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// The length of the run in tokens, rounded up to whole steps.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The number of sequences in a micro-batch.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// The number of tokens in a sequence of text. The sequences of a task have their own length.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<usize>,
    /// The number of micro-batches in a step. The step's gradient is the mean of their gradients.
    #[schemars(range(min = 1))]
    pub accumulation: usize,
    /// The maximum global L2 norm of the gradient. A gradient with a larger norm is scaled down to
    /// it; `false` switches this off.
    pub clip: Clip,
    /// The iterations whose cross entropy counts in the loss.
    #[serde(skip_serializing_if = "DepthLoss::is_last")]
    pub loss: DepthLoss,
    /// A penalty on the last state of the loop. By default there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty: Option<PenaltyConfig>,
    /// The number of steps from one logged step to the next.
    #[schemars(range(min = 1))]
    pub log_every: u64,
    /// What happens when a loss or a gradient is not finite.
    pub nonfinite: NonfiniteRule,
    /// The rule that skips updates at spikes of the loss. By default no update is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_spikes: Option<SpikeRule>,
}

/// The bound of a gradient's norm, or `false`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "a positive number or false")]
pub enum Clip {
    /// `false`: no clipping.
    Switch(bool),
    /// The maximum norm.
    Norm(f64),
}

impl Clip {
    /// Returns the maximum norm, or `None` without clipping.
    pub fn max_norm(self) -> Option<f64> {
        match self {
            Self::Switch(_) => None,
            Self::Norm(norm) => Some(norm),
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: None,
            tokens: None,
            batch: 8,
            seq: None,
            accumulation: 1,
            clip: Clip::Norm(1.0),
            loss: DepthLoss::Last,
            penalty: None,
            log_every: 4,
            nonfinite: NonfiniteRule::Stop {},
            skip_spikes: None,
        }
    }
}

/// `[eval]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// The number of steps from one evaluation to the next. Evaluations also come before the first
    /// step and after the last.
    #[schemars(range(min = 1))]
    pub every: u64,
    /// The recurrence depths to evaluate.
    #[schemars(length(min = 1), inner(range(min = 1, max = MAX_EVALUATED)))]
    pub recurrence: Vec<usize>,
    /// The number of validation tokens in one evaluation.
    pub tokens: usize,
    /// The number of sequences in a batch. By default as many as in a micro-batch of training.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Prompts that every evaluation continues greedily. Only for runs on text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
    /// The maximum number of tokens after each prompt. The default is 48.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<usize>,
    /// The recurrence depths at which prompts are continued. By default 1, 4 and the mean
    /// recurrence.
    #[schemars(length(min = 1), inner(range(min = 1, max = MAX_EVALUATED)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_recurrence: Option<Vec<usize>>,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            every: 128,
            recurrence: vec![1, 4, 8, 16, 32, 64],
            tokens: 16_384,
            batch: None,
            prompts: Vec::new(),
            prompt_tokens: None,
            prompt_recurrence: None,
        }
    }
}

/// `[checkpoint]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// The number of steps from one checkpoint to the next. A checkpoint is also saved after the
    /// last step.
    #[schemars(range(min = 1))]
    pub every: u64,
    /// The number of newest checkpoints to keep.
    #[schemars(range(min = 1))]
    pub keep_last: usize,
    /// Checkpoints at steps that are multiples of this number are never removed.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_every: Option<u64>,
    /// Whether the checkpoint with the lowest validation loss is kept.
    pub keep_best: bool,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            every: 500,
            keep_last: 2,
            keep_every: None,
            keep_best: true,
        }
    }
}

/// `[metrics]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Whether TensorBoard event files are written in addition to metrics.jsonl.
    pub tensorboard: bool,
    /// The device's peak speed in FLOP/s, for the metric `mfu`. Without this key `mfu` is null.
    #[schemars(extend("exclusiveMinimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_flops: Option<f64>,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            tensorboard: true,
            peak_flops: None,
        }
    }
}

/// `[init]`: the run starts from the weights of another run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InitFrom {
    /// The directory of the other run.
    pub from: String,
}

impl RunConfig {
    /// Reads a configuration from `text`, with `overrides` on top. Error messages call the text
    /// `name`.
    ///
    /// # Errors
    ///
    /// When the configuration is invalid. All violations are reported together.
    pub fn read(name: &str, text: &str, overrides: &[String]) -> Result<Self> {
        Ok(Self::document(name, text, overrides)?.read_checked(&Self::validate)?)
    }

    /// Parses `text` with `overrides` on top. Keys and values are not checked yet.
    ///
    /// # Errors
    ///
    /// When the text is not TOML.
    pub fn document(name: &str, text: &str, overrides: &[String]) -> Result<Document> {
        let mut document = Document::parse(name, text)?
            .with_plain_tables(&["device"])
            .with_aliases(alias);
        for one in overrides {
            document.set(one);
        }
        Ok(document)
    }

    /// Reads the configuration file at `path`. If the file names a base file, starts from that
    /// file.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or its configuration is invalid. All violations are reported
    /// together.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self> {
        let mut document = file::open(path)?;
        for one in overrides {
            document.set(one);
        }
        Ok(document.read_checked(&Self::validate)?)
    }

    /// Returns the configuration as TOML.
    ///
    /// # Errors
    ///
    /// Never: TOML can represent every configuration.
    pub fn to_toml(&self) -> Result<String> {
        Ok(rondo_config::to_toml(self).map_err(anyhow::Error::from)?)
    }

    /// Returns the configuration as a run directory records it. If the configuration does not set
    /// the size of the vocabulary, this size is `vocabulary`.
    #[must_use]
    pub fn recorded(&self, vocabulary: Option<usize>) -> Self {
        let mut recorded = self.clone();
        recorded.model.vocab_size = self.model.vocab_size.or(vocabulary);
        recorded
    }

    /// Returns the configuration of the model. `self` comes from a run directory.
    ///
    /// # Errors
    ///
    /// When the size of the vocabulary is missing.
    pub fn recorded_model(&self) -> Result<ModelConfig> {
        let vocabulary = self.model.vocab_size.ok_or_else(|| {
            Error::Usage(
                "model.vocab_size: missing; the configuration of a run directory names it"
                    .to_owned(),
            )
        })?;
        Ok(self.model.resolve(vocabulary))
    }

    /// Returns the BLAKE3 hash of the configuration as TOML, in hexadecimal.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::to_toml`].
    pub fn hash(&self) -> Result<String> {
        // Earlier versions wrote the key `data.field` as `data.json_field`. The hash uses the old
        // name, so that the hashes in checkpoints of those versions stay valid.
        let text = self.to_toml()?;
        let text = text.replacen("\nfield = ", "\njson_field = ", 1);
        Ok(blake3::hash(text.as_bytes()).to_hex().to_string())
    }

    /// Returns the number of tokens in a sequence of text: `train.seq`. If there is no training
    /// data, returns the length of the context instead. `None` for tasks.
    pub fn text_seq(&self) -> Option<usize> {
        let context = self.data.is_nothing().then_some(self.model.context);
        self.train.seq.or(context)
    }

    /// Returns the learning rate of `run` as a function of the step.
    pub fn rates(&self, run: Run) -> impl Fn(u64) -> f64 {
        rates(&self.schedule, &self.perturb, run)
    }

    /// Returns the number of sequences in a batch of an evaluation.
    pub fn eval_batch(&self) -> usize {
        self.eval.batch.unwrap_or(self.train.batch)
    }

    /// Returns the number of tokens in a step, for sequences of `seq` tokens.
    pub fn tokens_per_step(&self, seq: usize) -> u64 {
        (self.train.batch * self.train.accumulation * seq) as u64
    }

    /// Returns the number of steps of the run, for sequences of `seq` tokens.
    pub fn steps(&self, seq: usize) -> u64 {
        match (self.train.steps, self.train.tokens) {
            (Some(steps), _) => steps,
            (None, Some(tokens)) => tokens.div_ceil(self.tokens_per_step(seq).max(1)),
            (None, None) => 0,
        }
    }

    /// Returns the length of the run, for sequences of `seq` tokens. Schedules and curricula give
    /// their lengths as parts of it.
    pub fn extent(&self, seq: usize) -> Run {
        Run {
            steps: self.steps(seq),
            tokens_per_step: self.tokens_per_step(seq),
        }
    }
}

#[cfg(test)]
mod tests;
