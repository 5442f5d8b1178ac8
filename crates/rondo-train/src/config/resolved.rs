//! A configuration in which every size is known.

use rondo_data::{DataConfig, Source};
use rondo_diagnosis::DiagnosisConfig;
use rondo_model::census::Census;
use rondo_model::config::ModelConfig;
use rondo_model::depth::Unroll;
use rondo_schedule::control::ControlConfig;
use rondo_schedule::{Run, ScheduleConfig};

use super::{CheckpointConfig, InitFrom, MetricsConfig, Prompts, RunConfig};
use crate::device::DeviceConfig;
use crate::distributed::DistributedConfig;
use crate::error::{Error, Result};
use crate::guard::{NonfiniteRule, SpikeRule};
use crate::objective::{DepthLoss, PenaltyConfig};
use crate::optim::OptimizerConfig;
use crate::perturb::Perturbation;
use crate::plan::rates;
use crate::rows::longest_row;

/// A configuration completed with everything that its data decides.
#[derive(Clone, Debug)]
pub struct ResolvedConfig {
    /// The root of every random number of the run.
    pub seed: u64,
    /// The device to compute on.
    pub device: DeviceConfig,
    /// The training and validation data.
    pub data: DataConfig,
    /// The model.
    pub model: ModelConfig,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The learning rate.
    pub schedule: ScheduleConfig,
    /// Number and contents of the steps.
    pub train: ResolvedTrain,
    /// The evaluations.
    pub eval: ResolvedEval,
    /// Which checkpoints are kept.
    pub checkpoint: CheckpointConfig,
    /// What is recorded.
    pub metrics: MetricsConfig,
    /// What counts as a failure.
    pub diagnosis: DiagnosisConfig,
    /// How the ranks of a run work together.
    pub distributed: DistributedConfig,
    /// The run that provides the initial weights.
    pub init: Option<InitFrom>,
    /// Deliberate disturbances of the run.
    pub perturb: Vec<Perturbation>,
    /// The controller of the gates' penalty.
    pub controller: Option<ControlConfig>,
    /// The configuration that the run directory records.
    recorded: RunConfig,
}

/// The steps of a run.
#[derive(Clone, Debug)]
pub struct ResolvedTrain {
    /// Optimizer steps.
    pub steps: u64,
    /// Sequences in a micro-batch.
    pub batch: usize,
    /// Tokens in the longest sequence.
    pub seq: usize,
    /// Micro-batches in a step; the step's gradient is their mean.
    pub accumulation: usize,
    /// Bound on the global L2 norm of the gradient, if there is one.
    pub max_norm: Option<f64>,
    /// Iterations whose cross entropy counts in the loss.
    pub loss: DepthLoss,
    /// A penalty on the last state of the loop, if there is one.
    pub penalty: Option<PenaltyConfig>,
    /// Steps between logged steps.
    pub log_every: u64,
    /// Reaction to a loss or a gradient that is not finite.
    pub nonfinite: NonfiniteRule,
    /// Rule that skips the updates at spikes of the loss.
    pub skip_spikes: Option<SpikeRule>,
}

/// The evaluations of a run.
#[derive(Clone, Debug)]
pub struct ResolvedEval {
    /// Steps between evaluations.
    pub every: u64,
    /// Recurrence depths.
    pub recurrence: Vec<usize>,
    /// Validation tokens in one evaluation.
    pub tokens: usize,
    /// Sequences in a batch.
    pub batch: usize,
    /// Prompts; only [`RunConfig::resolve`] fills in their tokens.
    pub prompts: Prompts,
}

impl RunConfig {
    /// Completes the configuration with the sizes of `source`.
    ///
    /// # Errors
    ///
    /// When data and model do not fit together: the configured vocabulary is smaller than that of
    /// the data, or a row or a prompt is longer than the context.
    pub fn resolve(&self, source: &Source) -> Result<ResolvedConfig> {
        let vocabulary = source.vocab_size();
        if let Some(written) = self.model.vocab_size.filter(|size| *size < vocabulary) {
            return Err(Error::Usage(format!(
                "model.vocab_size: must hold the data's {vocabulary} tokens, found {written}; \
                 remove the key to use the data's own"
            )));
        }
        let longest = longest_row(source, self)?;
        let context = self.model.context;
        if longest > context {
            return Err(Error::Usage(format!(
                "model.context: must hold the task's {longest} tokens, found {context}"
            )));
        }
        let mut resolved = self.resolve_for(vocabulary, longest);
        resolved
            .eval
            .prompts
            .encode(&self.eval.prompts, source, context)?;
        Ok(resolved)
    }

    /// Completes the configuration for a vocabulary of `vocabulary` tokens and rows of `seq`
    /// tokens. A configured vocabulary size takes precedence.
    pub fn resolve_for(&self, vocabulary: usize, seq: usize) -> ResolvedConfig {
        let (train, eval) = (&self.train, &self.eval);
        ResolvedConfig {
            seed: self.run.seed,
            device: self.device,
            data: self.data.clone(),
            model: self.model.resolve(vocabulary),
            optimizer: self.optimizer.clone(),
            schedule: self.schedule.clone(),
            train: ResolvedTrain {
                steps: self.extent(seq).steps,
                batch: train.batch,
                seq,
                accumulation: train.accumulation,
                max_norm: train.clip.max_norm(),
                loss: train.loss.clone(),
                penalty: train.penalty.clone(),
                log_every: train.log_every,
                nonfinite: train.nonfinite,
                skip_spikes: train.skip_spikes,
            },
            eval: ResolvedEval {
                every: eval.every,
                recurrence: eval.recurrence.clone(),
                tokens: eval.tokens,
                batch: self.eval_batch(),
                prompts: Prompts::new(self),
            },
            checkpoint: self.checkpoint.clone(),
            metrics: self.metrics.clone(),
            diagnosis: self.diagnosis.clone(),
            distributed: self.distributed,
            init: self.init.clone(),
            perturb: self.perturb.clone(),
            controller: self.controller.clone(),
            recorded: self.recorded(Some(vocabulary)),
        }
    }
}

impl ResolvedConfig {
    /// Returns the configuration that the run directory records: as written, with the vocabulary
    /// size.
    pub fn recorded(&self) -> &RunConfig {
        &self.recorded
    }

    /// Returns the number of tokens in a step with the longest rows.
    pub fn tokens_per_step(&self) -> u64 {
        (self.train.batch * self.train.accumulation * self.train.seq) as u64
    }

    /// Returns the FLOPs per token of a step with `unroll`, forward and backward, for rows of `seq`
    /// tokens.
    pub fn flops_per_token_at(&self, step: u64, unroll: Unroll, seq: usize) -> f64 {
        let census = Census::new(&self.model);
        let beside = self.train.beside(unroll, step);
        census.flops_per_token(unroll, seq) + census.flops_beside(beside, seq)
    }

    /// Returns [`Self::flops_per_token_at`] for the longest rows, after the warm-up of a penalty.
    pub fn flops_per_token(&self, unroll: Unroll) -> f64 {
        self.flops_per_token_at(u64::MAX, unroll, self.train.seq)
    }

    /// Returns the learning rate as a function of the step.
    pub fn rates(&self) -> impl Fn(u64) -> f64 {
        rates(&self.schedule, &self.perturb, self.extent())
    }

    /// Returns the length of the run; schedule and curricula are measured against it.
    pub fn extent(&self) -> Run {
        Run {
            steps: self.train.steps,
            tokens_per_step: self.tokens_per_step(),
        }
    }
}
