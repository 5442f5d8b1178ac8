//! A step on several ranks: each rank computes its own micro-batches, and all ranks update with the
//! sum.
//!
//! ```text
//! micro-batches (threads) ─► sum over ranks (main thread)
//!    ─► judge and update (threads) ─► telemetry (main thread)
//! ```
//!
//! Only the thread that started the world may use the world. All threads do the remaining work.

use burn::tensor::Tensor;
use rondo_files::NamedTensor;
use rondo_model::contraction::Contraction;
use rondo_model::gates::Density;

use super::micro_batches::Seen;
use super::values::{Observed, StepValues};
use super::{Inputs, LENT, Learner, Observation, Taken};
use crate::config::ResolvedConfig;
use crate::distributed::gradients::{Exchange, Reduced};
use crate::distributed::message::{Reader, Writer};
use crate::distributed::replicas::moments_of_first;
use crate::distributed::{RankPace, World};
use crate::error::Result;
use crate::evaluate::{read_place, write_place};
use crate::guard::{Guard, Skipped};
use crate::named::read_numbers;
use crate::optim::Gate;
use crate::plan::StepPlan;
use crate::progress::RunProgress;
use crate::telemetry::{Iteration, Telemetry};
use crate::weights::{Stored, optimizer_tensors};

impl Learner {
    /// Shares all further steps with the other ranks of a world. All ranks must have the same
    /// weights. `Learner::restore` sets the moments afterwards.
    pub fn share_with(&mut self, world: &World, config: &ResolvedConfig) {
        if world.is_alone() {
            return;
        }
        self.exchange = Some(Exchange::new(world, config));
        (self.rank, self.ranks) = (world.rank(), world.world_size());
    }

    /// Returns how long the ranks have computed and waited since the last call. `None` in a single
    /// process.
    ///
    /// # Errors
    ///
    /// When a rank is missing.
    pub fn rank_pace(&mut self) -> Result<Option<RankPace>> {
        let pace = self.exchange.as_mut().map(|exchange| exchange.lap(None));
        pace.transpose()
    }

    /// Returns the exchange with the other ranks.
    pub(crate) fn exchange(&mut self) -> Option<&mut Exchange> {
        self.exchange.as_mut()
    }

    /// Continues a run from `progress`. Rank 0 of the world reads the moments from `stored`.
    ///
    /// # Errors
    ///
    /// When the moments cannot be read, or a rank is missing.
    pub(crate) fn restore(
        &mut self,
        world: &World,
        config: &ResolvedConfig,
        progress: &RunProgress,
        stored: Option<&Stored>,
    ) -> Result<()> {
        let owners = self.exchange.as_ref().and_then(Exchange::owners);
        let (optimizer, updates) = (&mut self.optimizer, progress.updates);
        moments_of_first(world, owners, optimizer, updates, stored, &self.device)?;
        let rules = &config.train;
        self.guard = Guard::new(rules.nonfinite, rules.skip_spikes, progress.guard.clone());
        self.rates = progress.lr_sum.unwrap_or_default();
        Ok(())
    }

    /// Returns the moments with their names, read from the device. If the optimizer is sharded,
    /// rank 0 returns all moments, and the other ranks return none.
    ///
    /// # Errors
    ///
    /// When a rank is missing.
    pub(crate) fn moments(&self) -> Result<Vec<NamedTensor<'static>>> {
        match self.exchange.as_ref().filter(|it| it.owners().is_some()) {
            Some(exchange) => exchange.gather_moments(&self.optimizer),
            None => Ok(optimizer_tensors(&self.optimizer)),
        }
    }

    /// Takes a step together with the other ranks, in the order shown above.
    pub(super) fn advance_with(
        &mut self,
        exchange: &mut Exchange,
        plan: &StepPlan,
        inputs: impl ExactSizeIterator<Item = Inputs> + Send,
    ) -> Result<Taken> {
        let Seen { sum, observed } =
            self.among_threads(|learner| learner.micro_batches(plan, inputs));
        let reduced = exchange.reduce(sum.loss, sum.gradients, self.reads_are_free)?;
        let stop = reduced.stop;
        let values = StepValues {
            plan: *plan,
            loss: f64::from(reduced.loss),
            grad_norm: f64::from(reduced.norm),
        };
        let skipped = self.guard.judge(plan, values.loss, values.grad_norm)?;
        if skipped.is_none() {
            let gate = Gate::from_host(values.grad_norm, self.max_norm);
            self.update_with(exchange, reduced, &gate, plan.lr)?;
            self.rates.add(plan.lr);
        }
        self.keep_unread(&values);
        let observation = match plan.logged {
            false => None,
            true => {
                let observed = observed.map(read_numbers).transpose()?;
                let observed = of_last_rank(exchange.world(), observed.as_ref())?;
                self.unread.clear();
                Some(Observation::new(&values, observed, self.penalty.as_ref()))
            }
        };
        let skipped: Vec<Skipped> = skipped.into_iter().collect();
        Ok(Taken {
            loss: Some(values.loss),
            observation,
            skipped,
            stop,
        })
    }

    fn update_with(
        &mut self,
        exchange: &mut Exchange,
        reduced: Reduced,
        gate: &Gate,
        lr: f64,
    ) -> Result<()> {
        let model = self.model.take().expect(LENT);
        let model = self.among_threads(|learner| {
            let optimizer = &mut learner.optimizer;
            optimizer.step_some(model, reduced.gradients, gate, lr)
        });
        self.model = Some(exchange.share_weights(model)?);
        Ok(())
    }

    /// Adds loss and norm of a step to the values since the last logged step.
    fn keep_unread(&mut self, values: &StepValues<f64>) {
        let one = |value: f64| Tensor::from_data([value as f32], &self.device);
        self.unread.push(StepValues {
            plan: values.plan,
            loss: one(values.loss),
            grad_norm: one(values.grad_norm),
        });
    }
}

/// Copies the measurements of the last micro-batch from the last rank, which has computed them, to
/// every rank.
fn of_last_rank(world: &World, own: Option<&Observed<f64>>) -> Result<Observed<f64>> {
    let mut message = Writer::default();
    if let Some(observed) = own {
        write(&mut message, observed);
    }
    let message = world.broadcast_bytes(world.world_size() - 1, message.finish())?;
    Ok(read(&mut Reader::new(&message)))
}

fn write(message: &mut Writer, observed: &Observed<f64>) {
    let Telemetry {
        recurrent_state_token_corr,
        last_hidden_token_corr,
        recurrent_state_norm,
        last_hidden_norm,
        recurrent_diff,
        recurrent_residual,
        rel_residual,
        iterations,
        seq,
    } = &observed.telemetry;
    message.values(&[
        observed.accuracy,
        *recurrent_state_token_corr,
        *last_hidden_token_corr,
        *recurrent_state_norm,
        *last_hidden_norm,
        *recurrent_diff,
        *recurrent_residual,
        *rel_residual,
    ]);
    message.count(*seq);
    message.count(iterations.len());
    for one in iterations {
        let Iteration {
            token_corr,
            state_corr,
            residual,
            rel_residual,
            state_norm,
        } = *one;
        message.values(&[token_corr, state_corr, residual, rel_residual, state_norm]);
    }
    message.count(observed.densities.len());
    for density in &observed.densities {
        write_place(message, density.at);
        message.values(&[density.expected, density.kept]);
    }
    message.count(observed.contraction.len());
    for Contraction { mean, max } in &observed.contraction {
        message.values(&[*mean, *max]);
    }
    message.count(observed.read_out.len());
    for iteration in &observed.read_out {
        message.count(*iteration);
    }
    message.values(&observed.losses);
    message.values(&observed.penalty);
}

fn read(message: &mut Reader<'_>) -> Observed<f64> {
    let numbers = message.values();
    let seq = message.count();
    let iterations = (0..message.count()).map(|_| {
        let numbers = message.values();
        Iteration {
            token_corr: numbers[0],
            state_corr: numbers[1],
            residual: numbers[2],
            rel_residual: numbers[3],
            state_norm: numbers[4],
        }
    });
    let iterations = iterations.collect();
    let densities = (0..message.count()).map(|_| {
        let at = read_place(message);
        let numbers = message.values();
        Density {
            at,
            expected: numbers[0],
            kept: numbers[1],
        }
    });
    let densities = densities.collect();
    let contraction = (0..message.count()).map(|_| {
        let numbers = message.values();
        Contraction {
            mean: numbers[0],
            max: numbers[1],
        }
    });
    let contraction = contraction.collect();
    let read_out = (0..message.count()).map(|_| message.count());
    let read_out = read_out.collect();
    Observed {
        read_out,
        losses: message.values(),
        penalty: message.values(),
        accuracy: numbers[0],
        densities,
        contraction,
        telemetry: Telemetry {
            recurrent_state_token_corr: numbers[1],
            last_hidden_token_corr: numbers[2],
            recurrent_state_norm: numbers[3],
            last_hidden_norm: numbers[4],
            recurrent_diff: numbers[5],
            recurrent_residual: numbers[6],
            rel_residual: numbers[7],
            iterations,
            seq,
        },
    }
}
