//! The configuration of a run: a strict TOML file as it is written ([`RunConfig`]), and the same
//! with every size that the data decides ([`ResolvedConfig`]).
//!
//! The sections are named after what they configure. Reading reports every violation at once, with
//! key, line and a suggestion, before anything exists on disk.

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

/// Everything that defines a run, as it is written. Sizes that the data decides may be left out.
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
    /// `[init]`: weights of another run to start from.
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
    /// The root of every random number of the run.
    pub seed: u64,
}

/// `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Budget in steps; either this or `tokens`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Budget in tokens, rounded up to whole steps.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Sequences in a micro-batch.
    #[schemars(range(min = 1))]
    pub batch: usize,
    /// Tokens in a sequence of text; a task has its own length.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<usize>,
    /// Micro-batches in a step; the step's gradient is their mean.
    #[schemars(range(min = 1))]
    pub accumulation: usize,
    /// Bound on the global L2 norm of the gradient; `false` switches it off.
    pub clip: Clip,
    /// Iterations whose cross entropy counts in the loss.
    #[serde(skip_serializing_if = "DepthLoss::is_last")]
    pub loss: DepthLoss,
    /// A penalty on the last state of the loop; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub penalty: Option<PenaltyConfig>,
    /// Steps between logged steps.
    #[schemars(range(min = 1))]
    pub log_every: u64,
    /// Reaction to a loss or a gradient that is not finite.
    pub nonfinite: NonfiniteRule,
    /// Rule that skips the updates at spikes of the loss; by default none is skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_spikes: Option<SpikeRule>,
}

/// A bound or none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "a positive number or false")]
pub enum Clip {
    /// `false`: no clipping.
    Switch(bool),
    /// The bound.
    Norm(f64),
}

impl Clip {
    /// Returns the bound, if there is one.
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
    /// Steps between evaluations. Further ones come before the first and after the last step.
    #[schemars(range(min = 1))]
    pub every: u64,
    /// Recurrence depths.
    #[schemars(length(min = 1), inner(range(min = 1, max = MAX_EVALUATED)))]
    pub recurrence: Vec<usize>,
    /// Validation tokens in one evaluation.
    pub tokens: usize,
    /// Sequences in a batch; by default as many as in training.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Prompts that each evaluation continues greedily; only for runs on text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<String>,
    /// Tokens after each prompt; 48 by default.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<usize>,
    /// Recurrence depths of the text after a prompt; by default 1, 4 and the mean recurrence.
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
    /// Steps between checkpoints; one more is saved after the last step.
    #[schemars(range(min = 1))]
    pub every: u64,
    /// Number of newest checkpoints to keep.
    #[schemars(range(min = 1))]
    pub keep_last: usize,
    /// Checkpoints at multiples of this step are kept for good.
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
    /// Whether TensorBoard event files are written besides metrics.jsonl.
    pub tensorboard: bool,
    /// Peak FLOP/s of the device, for `mfu`; without it `mfu` is null.
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

/// `[init]`: start from another run's weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InitFrom {
    /// The run directory.
    pub from: String,
}

impl RunConfig {
    /// Reads a configuration from `text`, with `overrides` on top. Errors call the text `name`.
    ///
    /// # Errors
    ///
    /// When the configuration is invalid. All violations are reported together.
    pub fn read(name: &str, text: &str, overrides: &[String]) -> Result<Self> {
        Ok(Self::document(name, text, overrides)?.read_checked(&Self::validate)?)
    }

    /// Parses `text` with `overrides` on top, without checking keys and values yet.
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

    /// Reads the configuration file at `path`, on top of its base file if it names one.
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

    /// Returns the configuration as a run directory records it. The size of the vocabulary is
    /// `vocabulary` if the configuration does not set it.
    #[must_use]
    pub fn recorded(&self, vocabulary: Option<usize>) -> Self {
        let mut recorded = self.clone();
        recorded.model.vocab_size = self.model.vocab_size.or(vocabulary);
        recorded
    }

    /// Returns the model of a configuration from a run directory.
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
    /// As [`Self::to_toml`].
    pub fn hash(&self) -> Result<String> {
        // Earlier versions wrote `data.field` as `json_field`. The old name is hashed, so that
        // their checkpoints keep their recorded launches.
        let text = self.to_toml()?;
        let text = text.replacen("\nfield = ", "\njson_field = ", 1);
        Ok(blake3::hash(text.as_bytes()).to_hex().to_string())
    }

    /// Returns the tokens in a sequence of text: `train.seq`, or the whole context if there is no
    /// training data. `None` for tasks.
    pub fn text_seq(&self) -> Option<usize> {
        let context = self.data.is_nothing().then_some(self.model.context);
        self.train.seq.or(context)
    }

    /// Returns the learning rate of `run` as a function of the step.
    pub fn rates(&self, run: Run) -> impl Fn(u64) -> f64 {
        rates(&self.schedule, &self.perturb, run)
    }

    /// Returns the sequences in a batch of an evaluation.
    pub fn eval_batch(&self) -> usize {
        self.eval.batch.unwrap_or(self.train.batch)
    }

    /// Returns the tokens in a step of text, or of a task of length `seq`.
    pub fn tokens_per_step(&self, seq: usize) -> u64 {
        (self.train.batch * self.train.accumulation * seq) as u64
    }

    /// Returns the number of steps of the run for sequences of `seq` tokens.
    pub fn steps(&self, seq: usize) -> u64 {
        match (self.train.steps, self.train.tokens) {
            (Some(steps), _) => steps,
            (None, Some(tokens)) => tokens.div_ceil(self.tokens_per_step(seq).max(1)),
            (None, None) => 0,
        }
    }

    /// Returns the length of the run for sequences of `seq` tokens; schedule and curricula are
    /// measured against it.
    pub fn extent(&self, seq: usize) -> Run {
        Run {
            steps: self.steps(seq),
            tokens_per_step: self.tokens_per_step(seq),
        }
    }
}

#[cfg(test)]
mod tests;
