//! One training step: forward, backward, clip, update.
//!
//! In reading order: `inputs` (what a pass reads), `objective` (the loss of a pass), `micro_batches` (its gradient), this file (the judgement and the update), `shared` (the same on
//! several ranks, with their sum in between), `values` (what is read from the device).

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

/// Why the model is there.
const LENT: &str = "the weights come back from every update";

/// A model in training.
pub struct Learner {
    /// The weights, on an autodiff device; none only while an update has them, so that it can write
    /// where they stand.
    model: Option<LoopedTransformer>,
    /// The moments.
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
    /// What it exchanges with the other ranks of its run; none in a process by itself, and while a step has it.
    exchange: Option<Exchange>,
    /// The micro-batches of a step that are its own, of those of all ranks.
    rank: usize,
    ranks: usize,
    /// The rates of the updates that were made. A step whose loss has not been read yet is not among them: the
    /// device may have masked its update out.
    rates: RateSum,
}

/// What a logged step tells.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Mean cross entropy of the step after its last iteration, nats.
    pub loss: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
    /// Telemetry of the last micro-batch.
    pub telemetry: Telemetry<f64>,
    /// Share of counted targets that were hit, in the last micro-batch.
    pub accuracy: f64,
    /// Open edges of the last micro-batch, where there are gates.
    pub sparsity: Option<Sparsity>,
    /// By how much the state is shrunk before an iteration, where the model tells.
    pub contraction: Option<Contraction<f64>>,
    /// Cross entropies of the last micro-batch by iteration, where the loss is of several.
    pub losses: Vec<(usize, f64)>,
    /// The penalty, where the run has one.
    pub penalty: Option<Penalised>,
}

/// A penalty as a logged step tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalised {
    /// Its weight at that step, 0 within the warm-up.
    pub weight: f64,
    /// Its value in the last micro-batch; none within the warm-up.
    pub value: Option<f64>,
}

impl Learner {
    /// Prepares to train `model` on `listed` from its first step.
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

    /// Starts the model of `config` from its seed on `listed`.
    pub fn fresh(config: &ResolvedConfig, listed: &Listed) -> Self {
        let device = listed.device.clone().autodiff();
        Self::new(config, listed, fresh_model(config, listed, &device))
    }

    /// Goes on from a checkpoint, where the run stands at `progress`.
    ///
    /// # Errors
    ///
    /// Where the checkpoint is damaged or of another model.
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
    /// Never: an update gives them back.
    pub fn model(&self) -> &LoopedTransformer {
        self.model.as_ref().expect(LENT)
    }

    /// Disturbs weights or moments before a step.
    ///
    /// # Panics
    ///
    /// Never: an update gives the weights back.
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

    /// Reads what is left to be read before a checkpoint, so that none is taken of a run that must stop.
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
    /// Where the device fails.
    pub fn unread_losses(&self) -> Result<Vec<f64>> {
        let steps = read_numbers(self.unread.clone())?;
        Ok(steps.into_iter().map(|step| step.loss).collect())
    }

    /// Judges steps after the fact by their loss and gradient norm.
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

    /// Returns what a checkpoint keeps of the rules for updates.
    pub fn guard(&self) -> &GuardState {
        self.guard.state()
    }

    /// Returns the sum of the rates of all updates that are known to have been made: all until here after a logged step,
    /// and where a checkpoint is taken.
    pub fn rates(&self) -> RateSum {
        self.rates
    }

    /// Returns whether loss and gradient norm are read before each update.
    fn looks_first(&self) -> bool {
        // Gradients of several ranks have been on the host.
        self.reads_are_free || self.ranks > 1 || self.guard.looks_first()
    }

    /// Sets the factor of the gates' density in the loss of the steps to come.
    pub fn penalise(&mut self, strength: f64) {
        self.strength = strength;
    }

    /// Takes one step on its micro-batches and, on a logged step, reads what happened.
    ///
    /// The one device read of a logged step brings its telemetry together with loss and norm of
    /// every step since the last one. Where a scalar costs nothing the norm is read each step.
    ///
    /// # Errors
    ///
    /// Where loss or gradient is not finite: before the update where reads are free, else at the
    /// next logged step, the updates in between having been masked out on the device.
    ///
    /// Of a run on several ranks `batches` are those of this rank, and all ranks return the same.
    pub fn step(&mut self, plan: &StepPlan, batches: &[Batch]) -> Result<Taken> {
        let first = self.share(batches.len()).first_number(plan.step);
        let maker = self.input_maker();
        let inputs = batches.iter().enumerate();
        self.step_on(
            plan,
            inputs.map(|(i, batch)| maker.make(batch, plan.step, first + i as u64)),
        )
    }

    /// As [`Self::step`], on inputs that are taken one by one, each when the micro-batch before it has been computed.
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

    /// Returns how the inputs of its micro-batches are made.
    pub(crate) fn input_maker(&self) -> InputMaker {
        InputMaker {
            config: self.config.clone(),
            seed: self.seed,
            penalty: self.penalty.clone(),
            device: self.device.clone(),
        }
    }

    /// Returns which micro-batches of a step are its own where each rank has `count`.
    fn share(&self, count: usize) -> Share {
        Share {
            first: self.rank * count,
            count,
            total: self.ranks * count,
        }
    }

    /// Works among the threads that share the work of a step, so that none is woken for each piece of it.
    fn among_threads<R: Send>(&mut self, work: impl FnOnce(&mut Self) -> R + Send) -> R {
        match self.reads_are_free {
            true => rayon::scope(|_| work(self)),
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

    /// Reads everything that has gathered on the device since the last logged step.
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

/// What a step gave.
pub struct Taken {
    /// Its loss, where reading it costs nothing.
    pub loss: Option<f64>,
    /// What was read on a logged step.
    pub observation: Option<Observation>,
    /// The updates that were not made, of this step and of those read with it.
    pub skipped: Vec<Skipped>,
    /// Whether a rank was asked for an end before the step was summed; always false in a process by itself.
    pub stop: bool,
}

/// Returns the model that a run starts with, on `device`: that of `listed`, in the graph or not.
pub fn fresh_model(config: &ResolvedConfig, listed: &Listed, device: &Device) -> LoopedTransformer {
    let weights = Weights::new(&config.model, config.seed, device);
    LoopedTransformer::with_weights(&config.model, &weights.with_precision(listed.precision))
}

/// Returns the optimizer that a run starts with.
pub fn fresh_optimizer(config: &ResolvedConfig) -> Optimizer {
    let rows = table(&config.model);
    Optimizer::new(&config.optimizer, rows, config.schedule.peak)
}

/// Reads a vector from the device.
///
/// # Errors
///
/// Where the device failed.
pub fn read(values: Tensor<1>) -> Result<Vec<f32>> {
    Ok(read_data(values)?.iter::<f32>().collect())
}

/// Reads a vector from the device, without a copy where it is in the memory of the host.
///
/// # Errors
///
/// Where the device failed.
pub(crate) fn read_data(values: Tensor<1>) -> Result<TensorData> {
    values
        .try_into_data()
        .map_err(|error| Error::Device(format!("the device failed while computing: {error:?}")))
}
