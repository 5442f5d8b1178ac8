//! One training step: forward, backward, clip, update.
//!
//! In reading order: `inputs` (the inputs of a pass), `objective` (the loss of a pass),
//! `micro_batches` (the gradient of a step), this file (judges the update and makes it), `shared`
//! (a step on several ranks, with the sum over ranks before the update), `values` (values read from
//! the device).

mod inputs;
mod micro_batches;
mod objective;
#[cfg(all(test, feature = "wgpu"))]
mod reads;
mod shared;
mod values;

use burn::tensor::{Device, Tensor, TensorData};
use rondo_checkpoint::Checkpoint;
use rondo_data::Batch;
use rondo_kernels::awake::awake;
use rondo_model::attention::Rope;
use rondo_model::config::ModelConfig;
use rondo_model::contraction::Contraction;
use rondo_model::init::{Weights, table};
use rondo_model::looped::LoopedTransformer;
use rondo_model::sparsity::Sparsity;
use rondo_schedule::RateSum;

pub(crate) use self::inputs::{InputMaker, Inputs};
use self::micro_batches::Seen;
use self::values::{Logged, Observed, StepValues};
use crate::config::ResolvedConfig;
use crate::device::Listed;
use crate::distributed::gradients::Exchange;
use crate::distributed::{Share, World};
use crate::error::{Error, Result};
use crate::guard::{Guard, GuardState, Skipped};
use crate::named::read_numbers;
use crate::objective::{DepthLoss, PenaltyConfig};
use crate::optim::{Gate, Optimizer, global_norm};
use crate::perturb::{Perturbation, with_noise};
use crate::plan::StepPlan;
use crate::progress::RunProgress;
use crate::telemetry::Telemetry;
use crate::weights::{load_model, open_moments};

/// The panic message that explains why the model is always present.
const LENT: &str = "the weights come back from every update";

/// A model in training, with its optimizer.
pub struct Learner {
    /// The weights, on an autodiff device. `None` only during an update: the update takes the
    /// weights out, so that their memory can be overwritten.
    model: Option<LoopedTransformer>,
    /// The optimizer, with its moments.
    pub optimizer: Optimizer,
    config: ModelConfig,
    seed: u64,
    max_norm: Option<f64>,
    loss: DepthLoss,
    penalty: Option<PenaltyConfig>,
    device: Device,
    reads_are_free: bool,
    /// The rotary embedding's tables for the newest sequence length.
    rope: Option<(usize, Rope)>,
    /// The factor of the gates' density in the loss.
    strength: f64,
    unread: Vec<StepValues<Tensor<1>>>,
    guard: Guard,
    /// The exchange with the other ranks of the run. `None` in a single process, and while a step
    /// uses the exchange.
    exchange: Option<Exchange>,
    /// The number of this rank. It selects the micro-batches that this rank computes.
    rank: usize,
    ranks: usize,
    /// The sum of the learning rates of the updates that were made. A step whose loss has not been
    /// read yet is not included, because the device may have rejected its update.
    rates: RateSum,
}

/// Measurements of a logged step.
#[derive(Clone, Debug)]
pub struct Observation {
    /// The mean cross entropy of the step after its last iteration, in nats.
    pub loss: f64,
    /// The global norm of the gradient before clipping.
    pub grad_norm: f64,
    /// The telemetry of the last micro-batch.
    pub telemetry: Telemetry<f64>,
    /// The share of the last micro-batch's targets that the model predicts correctly.
    pub accuracy: f64,
    /// The share of open edges in the last micro-batch, if there are gates.
    pub sparsity: Option<Sparsity>,
    /// The factor by which the state shrinks before an iteration, if the model reports it.
    pub contraction: Option<Contraction<f64>>,
    /// The cross entropy of the last micro-batch after each iteration that counts, with the
    /// iteration's number. Empty if only the last iteration counts.
    pub losses: Vec<(usize, f64)>,
    /// The penalty, if the run has one.
    pub penalty: Option<Penalised>,
}

/// The penalty of a logged step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalised {
    /// The weight of the penalty at the step; 0 during the warm-up.
    pub weight: f64,
    /// The value of the penalty in the last micro-batch. `None` during the warm-up.
    pub value: Option<f64>,
}

impl Learner {
    /// Creates a learner that trains `model` on `listed` from the first step.
    pub fn new(config: &ResolvedConfig, listed: &Listed, model: LoopedTransformer) -> Self {
        let rules = &config.train;
        Self {
            model: Some(model),
            optimizer: fresh_optimizer(config),
            config: config.model.clone(),
            seed: config.seed,
            max_norm: rules.max_norm,
            loss: rules.loss.clone(),
            penalty: rules.penalty.clone(),
            device: listed.device.clone(),
            reads_are_free: listed.reads_are_free(),
            rope: None,
            strength: 0.0,
            unread: Vec::new(),
            guard: Guard::new(rules.nonfinite, rules.skip_spikes, GuardState::default()),
            exchange: None,
            rank: 0,
            ranks: 1,
            rates: RateSum::default(),
        }
    }

    /// Creates a learner for a new run of `config` on `listed`. The initial model is drawn from the
    /// seed of `config`.
    pub fn fresh(config: &ResolvedConfig, listed: &Listed) -> Self {
        let device = listed.device.clone().autodiff();
        Self::new(config, listed, fresh_model(config, listed, &device))
    }

    /// Creates a learner that continues from a checkpoint. `progress` is the progress in this
    /// checkpoint.
    ///
    /// # Errors
    ///
    /// When the checkpoint is damaged or belongs to another model.
    pub fn resume(
        config: &ResolvedConfig,
        listed: &Listed,
        checkpoint: &Checkpoint,
        progress: &RunProgress,
    ) -> Result<Self> {
        let device = listed.device.clone().autodiff();
        let model = load_model(checkpoint, &config.model, &device, listed.precision)?;
        let mut learner = Self::new(config, listed, model);
        let stored = open_moments(checkpoint, &learner.optimizer)?;
        learner.restore(&World::alone(), config, progress, Some(&stored))?;
        Ok(learner)
    }

    /// Returns the weights.
    ///
    /// # Panics
    ///
    /// Never: every update returns the weights.
    pub fn model(&self) -> &LoopedTransformer {
        self.model.as_ref().expect(LENT)
    }

    /// Applies a disturbance to the weights or the moments, before a step.
    ///
    /// # Panics
    ///
    /// Never: every update returns the weights.
    pub fn perturb(&mut self, one: &Perturbation, config: &ResolvedConfig, step: u64) {
        match one {
            Perturbation::LrSpike { .. } | Perturbation::DataSwitch { .. } => {}
            Perturbation::OptimizerReset { .. } => {
                self.optimizer = fresh_optimizer(config);
            }
            Perturbation::WeightNoise { std, .. } => {
                let model = self.model.take().expect(LENT);
                self.model = Some(with_noise(model, *std, self.seed, step));
            }
        }
    }

    /// Reads and judges all unread steps. The caller does this before it saves a checkpoint, so
    /// that a run that must stop saves none.
    ///
    /// # Errors
    ///
    /// The errors of [`Learner::step`].
    pub fn settle(&mut self) -> Result<Vec<Skipped>> {
        let unread = std::mem::take(&mut self.unread);
        if unread.is_empty() || self.looks_first() {
            return Ok(Vec::new());
        }
        self.judge(&read_numbers(unread)?)
    }

    /// Returns the losses of all steps since the last logged one.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub fn unread_losses(&self) -> Result<Vec<f64>> {
        let steps = read_numbers(self.unread.clone())?;
        Ok(steps.into_iter().map(|step| step.loss).collect())
    }

    /// Judges steps by loss and gradient norm. Their updates have been made or rejected already.
    fn judge(&mut self, steps: &[StepValues<f64>]) -> Result<Vec<Skipped>> {
        let mut skipped = Vec::new();
        for step in steps {
            match self.guard.judge(&step.plan, step.loss, step.grad_norm)? {
                Some(one) => skipped.push(one),
                None => self.rates.add(step.plan.lr),
            }
        }
        Ok(skipped)
    }

    /// Returns the state of the guard for a checkpoint.
    pub fn guard(&self) -> &GuardState {
        self.guard.state()
    }

    /// Returns the sum of the learning rates of all updates that are known to have been made. After
    /// a logged step, and when a checkpoint is saved, no update is missing from it.
    pub fn rates(&self) -> RateSum {
        self.rates
    }

    /// Returns whether loss and gradient norm are read before each update.
    fn looks_first(&self) -> bool {
        // With several ranks, the gradients are on the host anyway.
        self.reads_are_free || self.ranks > 1 || self.guard.looks_first()
    }

    /// Sets the factor of the gates' density in the loss of the next steps.
    pub fn penalise(&mut self, strength: f64) {
        self.strength = strength;
    }

    /// Takes one step on `batches`, the micro-batches of this rank. On a logged step, reads the
    /// measurements of the step. On several ranks, all ranks return the same result.
    ///
    /// A logged step reads from the device once: its own telemetry, together with loss and gradient
    /// norm of every step since the last logged one. If reading does not wait for a queue of the
    /// device, loss and norm are read in every step.
    ///
    /// # Errors
    ///
    /// When loss or gradient is not finite. If loss and norm are read in every step, the error
    /// comes before the update. Otherwise the error comes at the next logged step; by then, the
    /// device has rejected the updates that were not finite.
    pub fn step(&mut self, plan: &StepPlan, batches: &[Batch]) -> Result<Taken> {
        let first = self.share(batches.len()).first_number(plan.step);
        let maker = self.input_maker();
        let inputs = batches.iter().enumerate();
        self.step_on(
            plan,
            inputs.map(|(i, batch)| maker.make(batch, plan.step, first + i as u64)),
        )
    }

    /// Takes a step like [`Self::step`]. Each element of `inputs` is made only after the preceding
    /// micro-batch has been computed.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::step`].
    pub(crate) fn step_on(
        &mut self,
        plan: &StepPlan,
        inputs: impl ExactSizeIterator<Item = Inputs> + Send,
    ) -> Result<Taken> {
        match self.exchange.take() {
            None => self.among_threads(|learner| learner.advance(plan, inputs)),
            Some(mut exchange) => {
                let taken = self.advance_with(&mut exchange, plan, inputs);
                self.exchange = Some(exchange);
                taken
            }
        }
    }

    /// Returns the maker of inputs for the run's micro-batches.
    pub(crate) fn input_maker(&self) -> InputMaker {
        InputMaker {
            config: self.config.clone(),
            seed: self.seed,
            penalty: self.penalty.clone(),
            device: self.device.clone(),
        }
    }

    /// Returns which micro-batches of a step belong to this rank, if each rank has `count` of them.
    fn share(&self, count: usize) -> Share {
        Share {
            first: self.rank * count,
            count,
            total: self.ranks * count,
        }
    }

    /// Runs `work`. If the CPU computes the step, `work` runs inside the thread pool, so that the
    /// pool is entered only once per step and its threads stay awake.
    fn among_threads<R: Send>(&mut self, work: impl FnOnce(&mut Self) -> R + Send) -> R {
        match self.reads_are_free {
            true => awake(|| work(self)),
            false => work(self),
        }
    }

    fn advance(
        &mut self,
        plan: &StepPlan,
        inputs: impl ExactSizeIterator<Item = Inputs>,
    ) -> Result<Taken> {
        let Seen { sum, observed } = self.micro_batches(plan, inputs);
        let norm = global_norm(&sum.gradients);
        let values = StepValues {
            plan: *plan,
            loss: sum.loss,
            grad_norm: norm.clone(),
        };
        let mut skipped = Vec::new();
        let (gate, loss) = if self.looks_first() {
            let StepValues {
                loss, grad_norm, ..
            } = read_numbers(values.clone())?;
            skipped.extend(self.guard.judge(plan, loss, grad_norm)?);
            (Gate::from_host(grad_norm, self.max_norm), Some(loss))
        } else {
            (Gate::from_device(norm, self.max_norm), None)
        };
        if skipped.is_empty() {
            let model = self.model.take().expect(LENT);
            let model = self.optimizer.step(model, sum.gradients, &gate, plan.lr);
            self.model = Some(model);
            if self.looks_first() {
                self.rates.add(plan.lr);
            }
        }
        self.unread.push(values);
        let observation = match observed {
            None => None,
            Some(observed) => Some(self.read_out(observed, &mut skipped)?),
        };
        Ok(Taken {
            loss,
            observation,
            skipped,
            stop: false,
        })
    }

    /// Reads all values that the device holds since the last logged step.
    fn read_out(
        &mut self,
        observed: Observed<Tensor<1>>,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Observation> {
        let steps = std::mem::take(&mut self.unread);
        let Logged { steps, observed } = read_numbers(Logged { steps, observed })?;
        if !self.looks_first() {
            skipped.extend(self.judge(&steps)?);
        }
        let last = steps.last().expect("the logged step is among them");
        Ok(Observation::new(last, observed, self.penalty.as_ref()))
    }
}

impl Observation {
    fn new(
        step: &StepValues<f64>,
        observed: Observed<f64>,
        penalty: Option<&PenaltyConfig>,
    ) -> Self {
        let recurrence = step.plan.draw.unroll.total();
        Self {
            loss: step.loss,
            grad_norm: step.grad_norm,
            accuracy: observed.accuracy,
            telemetry: observed.telemetry,
            sparsity: Sparsity::new(&observed.densities, recurrence),
            contraction: observed.contraction.into_iter().next(),
            losses: observed.read_out.into_iter().zip(observed.losses).collect(),
            penalty: penalty.map(|penalty| Penalised {
                weight: penalty.weight_at(step.plan.step),
                value: observed.penalty.first().copied(),
            }),
        }
    }
}

/// The result of a step.
pub struct Taken {
    /// The loss of the step, if it was read before the update.
    pub loss: Option<f64>,
    /// The measurements of the step, if it is a logged one.
    pub observation: Option<Observation>,
    /// The skipped updates of this step, and of earlier steps whose losses were read together with
    /// those of this step.
    pub skipped: Vec<Skipped>,
    /// Whether any rank had received a request to stop before the sum over ranks. Always false in a
    /// single process.
    pub stop: bool,
}

/// Returns the initial model of a run. `device` is the device of `listed`, with or without
/// autodiff.
pub fn fresh_model(config: &ResolvedConfig, listed: &Listed, device: &Device) -> LoopedTransformer {
    let weights = Weights::new(&config.model, config.seed, device);
    LoopedTransformer::with_weights(&config.model, &weights.with_precision(listed.precision))
}

/// Returns the initial optimizer of a run.
pub fn fresh_optimizer(config: &ResolvedConfig) -> Optimizer {
    let rows = table(&config.model);
    Optimizer::new(&config.optimizer, rows, config.schedule.peak)
}

/// Reads a vector from the device.
///
/// # Errors
///
/// When the device fails.
pub fn read(values: Tensor<1>) -> Result<Vec<f32>> {
    Ok(read_data(values)?.iter::<f32>().collect())
}

/// Reads a vector from the device. If the vector is in the host's memory, it is not copied.
///
/// # Errors
///
/// When the device fails.
pub(crate) fn read_data(values: Tensor<1>) -> Result<TensorData> {
    values
        .try_into_data()
        .map_err(|error| Error::Device(format!("the device failed while computing: {error:?}")))
}
