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

/// A configuration in which every size that follows from the data is filled in.
#[derive(Clone, Debug)]
pub struct ResolvedConfig {
    /// The seed from which every random number of the run is derived.
    pub seed: u64,
    /// The device to compute on.
    pub device: DeviceConfig,
    /// The training and validation data.
    pub data: DataConfig,
    /// The model.
    pub model: ModelConfig,
    /// The optimizer, with its parameters.
    pub optimizer: OptimizerConfig,
    /// The schedule of the learning rate.
    pub schedule: ScheduleConfig,
    /// The steps of the run.
    pub train: ResolvedTrain,
    /// The evaluations.
    pub eval: ResolvedEval,
    /// When checkpoints are saved, and which are kept.
    pub checkpoint: CheckpointConfig,
    /// The metrics that are recorded.
    pub metrics: MetricsConfig,
    /// The failures that are diagnosed, and the reaction to each.
    pub diagnosis: DiagnosisConfig,
    /// How the ranks of a run work together.
    pub distributed: DistributedConfig,
    /// The run that provides the initial weights.
    pub init: Option<InitFrom>,
    /// Deliberate disturbances of the run.
    pub perturb: Vec<Perturbation>,
    /// The controller that adjusts the penalty of the gates.
    pub controller: Option<ControlConfig>,
    /// The configuration that the run directory records.
    recorded: RunConfig,
}

/// The steps of a run.
#[derive(Clone, Debug)]
pub struct ResolvedTrain {
    /// The number of optimizer steps.
    pub steps: u64,
    /// The number of sequences in a micro-batch.
    pub batch: usize,
    /// The number of tokens in the longest sequence.
    pub seq: usize,
    /// The number of micro-batches in a step. The step's gradient is the mean of their gradients.
    pub accumulation: usize,
    /// The maximum global L2 norm of the gradient. `None` without clipping.
    pub max_norm: Option<f64>,
    /// The iterations whose cross entropy counts in the loss.
    pub loss: DepthLoss,
    /// The penalty on the last state of the loop, if there is one.
    pub penalty: Option<PenaltyConfig>,
    /// The number of steps from one logged step to the next.
    pub log_every: u64,
    /// What happens when a loss or a gradient is not finite.
    pub nonfinite: NonfiniteRule,
    /// The rule that skips updates at spikes of the loss, if there is one.
    pub skip_spikes: Option<SpikeRule>,
}

/// The evaluations of a run.
#[derive(Clone, Debug)]
pub struct ResolvedEval {
    /// The number of steps from one evaluation to the next.
    pub every: u64,
    /// The recurrence depths to evaluate.
    pub recurrence: Vec<usize>,
    /// The number of validation tokens in one evaluation.
    pub tokens: usize,
    /// The number of sequences in a batch.
    pub batch: usize,
    /// The prompts to continue. Only [`RunConfig::resolve`] encodes them.
    pub prompts: Prompts,
}

impl RunConfig {
    /// Fills in the sizes that follow from the data in `source`.
    ///
    /// # Errors
    ///
    /// When data and model do not fit together: the configured vocabulary is smaller than the
    /// vocabulary of the data, or a row or a prompt is longer than the context.
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

    /// Fills in the sizes for a vocabulary of `vocabulary` tokens and rows of `seq` tokens. If the
    /// configuration sets a vocabulary size, that size is used instead.
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
    /// Returns the configuration that the run directory records: the one that the user wrote, with
    /// the size of the vocabulary.
    pub fn recorded(&self) -> &RunConfig {
        &self.recorded
    }

    /// Returns the number of tokens in a step whose rows all have the maximum length.
    pub fn tokens_per_step(&self) -> u64 {
        (self.train.batch * self.train.accumulation * self.train.seq) as u64
    }

    /// Returns the FLOPs per token of step `step` with the depths `unroll`, forward and backward.
    /// The rows have `seq` tokens.
    pub fn flops_per_token_at(&self, step: u64, unroll: Unroll, seq: usize) -> f64 {
        let census = Census::new(&self.model);
        let beside = self.train.beside(unroll, step);
        census.flops_per_token(unroll, seq) + census.flops_beside(beside, seq)
    }

    /// Returns [`Self::flops_per_token_at`] for rows of the maximum length, at a step after the
    /// warm-up of a penalty.
    pub fn flops_per_token(&self, unroll: Unroll) -> f64 {
        self.flops_per_token_at(u64::MAX, unroll, self.train.seq)
    }

    /// Returns the learning rate as a function of the step.
    pub fn rates(&self) -> impl Fn(u64) -> f64 {
        rates(&self.schedule, &self.perturb, self.extent())
    }

    /// Returns the length of the run. Schedules and curricula give their lengths as parts of it.
    pub fn extent(&self) -> Run {
        Run {
            steps: self.train.steps,
            tokens_per_step: self.tokens_per_step(),
        }
    }
}
