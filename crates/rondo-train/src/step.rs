//! One training step: forward, backward, clip, update.
//!
//! In reading order: `inputs` (the inputs of a pass), `objective` (the loss of a pass),
//! `micro_batches` (its gradient), this file (judges and updates), `shared` (the same on several
//! ranks, with the sum over ranks in between), `values` (values read from the device).

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

/// Explains in a panic why the model is always present.
const LENT: &str = "the weights come back from every update";

/// A model in training.
pub struct Learner {
    /// The weights, on an autodiff device. `None` only during an update, which takes them so that
    /// it can write into their memory.
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
    /// The rotary tables of the newest sequence length.
    rope: Option<(usize, Rope)>,
    /// The factor of the gates' density in the loss.
    strength: f64,
    unread: Vec<StepValues<Tensor<1>>>,
    guard: Guard,
    /// The exchange with the other ranks of its run. `None` in a single process, and while a step
    /// uses it.
    exchange: Option<Exchange>,
    /// The number of this rank, which selects its micro-batches of a step.
    rank: usize,
    ranks: usize,
    /// Sum of the rates of the updates that were made. A step with an unread loss is not included:
    /// the device may have masked out its update.
    rates: RateSum,
}

/// Measurements of a logged step.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Mean cross entropy of the step after its last iteration, nats.
    pub loss: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
    /// Telemetry of the last micro-batch.
    pub telemetry: Telemetry<f64>,
    /// Share of counted targets that are hit, in the last micro-batch.
    pub accuracy: f64,
    /// Open edges of the last micro-batch, if there are gates.
    pub sparsity: Option<Sparsity>,
    /// How much the state shrinks before an iteration, if the model reports it.
    pub contraction: Option<Contraction<f64>>,
    /// Cross entropies of the last micro-batch by iteration, if several iterations count.
    pub losses: Vec<(usize, f64)>,
    /// The penalty, if the run has one.
    pub penalty: Option<Penalised>,
}

/// The penalty of a logged step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalised {
    /// Its weight at that step, 0 during the warm-up.
    pub weight: f64,
    /// Its value in the last micro-batch; `None` during the warm-up.
    pub value: Option<f64>,
}

impl Learner {
    /// Prepares to train `model` on `listed` from the first step.
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

    /// Starts with the initial model of `config`, drawn from its seed, on `listed`.
    pub fn fresh(config: &ResolvedConfig, listed: &Listed) -> Self {
        let device = listed.device.clone().autodiff();
        Self::new(config, listed, fresh_model(config, listed, &device))
    }

    /// Resumes from a checkpoint whose progress is `progress`.
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

    /// Applies a disturbance to weights or moments before a step.
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

    /// Reads and judges the unread steps before a checkpoint, so that no checkpoint is saved of a
    /// run that must stop.
    ///
    /// # Errors
    ///
    /// As [`Learner::step`].
    pub fn settle(&mut self) -> Result<Vec<Skipped>> {
        let unread = std::mem::take(&mut self.unread);
        if unread.is_empty() || self.looks_first() {
            return Ok(Vec::new());
        }
        self.judge(&read_numbers(unread)?)
    }

    /// Reads the losses of all steps since the last logged one.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub fn unread_losses(&self) -> Result<Vec<f64>> {
        let steps = read_numbers(self.unread.clone())?;
        Ok(steps.into_iter().map(|step| step.loss).collect())
    }

    /// Judges steps after their updates, by loss and gradient norm.
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

    /// Returns the sum of the rates of all updates that are known to have been made. It is complete
    /// after a logged step, and when a checkpoint is saved.
    pub fn rates(&self) -> RateSum {
        self.rates
    }

    /// Returns whether loss and gradient norm are read before each update.
    fn looks_first(&self) -> bool {
        // Several ranks have their gradients on the host anyway.
        self.reads_are_free || self.ranks > 1 || self.guard.looks_first()
    }

    /// Sets the factor of the gates' density in the loss of the next steps.
    pub fn penalise(&mut self, strength: f64) {
        self.strength = strength;
    }

    /// Takes one step on its micro-batches and, on a logged step, reads its measurements. On
    /// several ranks `batches` are those of this rank, and all ranks return the same.
    ///
    /// A logged step reads from the device once: its telemetry together with loss and norm of every
    /// step since the last logged one. If a read costs nothing, loss and norm are read in every
    /// step.
    ///
    /// # Errors
    ///
    /// When loss or gradient is not finite. If reads are free, this is before the update; otherwise
    /// at the next logged step, and the device has masked out the updates in between.
    pub fn step(&mut self, plan: &StepPlan, batches: &[Batch]) -> Result<Taken> {
        let first = self.share(batches.len()).first_number(plan.step);
        let maker = self.input_maker();
        let inputs = batches.iter().enumerate();
        self.step_on(
            plan,
            inputs.map(|(i, batch)| maker.make(batch, plan.step, first + i as u64)),
        )
    }

    /// Takes a step like [`Self::step`]. Each of the `inputs` is made when the micro-batch before
    /// it has been computed.
    ///
    /// # Errors
    ///
    /// As [`Self::step`].
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

    /// Returns a maker for the inputs of its micro-batches.
    pub(crate) fn input_maker(&self) -> InputMaker {
        InputMaker {
            config: self.config.clone(),
            seed: self.seed,
            penalty: self.penalty.clone(),
            device: self.device.clone(),
        }
    }

    /// Returns the micro-batches of a step that belong to this rank, if each rank has `count`.
    fn share(&self, count: usize) -> Share {
        Share {
            first: self.rank * count,
            count,
            total: self.ranks * count,
        }
    }

    /// Runs `work` inside the thread pool if the CPU computes, so that the pool is entered only
    /// once for a step and its threads stay awake.
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

    /// Reads all values that have gathered on the device since the last logged step.
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
    /// Its loss, if it was read before the update.
    pub loss: Option<f64>,
    /// The measurements of a logged step.
    pub observation: Option<Observation>,
    /// The skipped updates of this step and of the steps that were read with it.
    pub skipped: Vec<Skipped>,
    /// Whether a rank was asked to stop before the sum over ranks; always false in a single
    /// process.
    pub stop: bool,
}

/// Returns the initial model of a run on `device`, which is that of `listed` with or without
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
/// When the device failed.
pub fn read(values: Tensor<1>) -> Result<Vec<f32>> {
    Ok(read_data(values)?.iter::<f32>().collect())
}

/// Reads a vector from the device, without a copy if it is in host memory.
///
/// # Errors
///
/// When the device failed.
pub(crate) fn read_data(values: Tensor<1>) -> Result<TensorData> {
    values
        .try_into_data()
        .map_err(|error| Error::Device(format!("the device failed while computing: {error:?}")))
}
