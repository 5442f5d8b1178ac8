//! A training step, a forward pass or an evaluation that can be timed repeatedly.

use std::time::Instant;

use burn::module::Module;
use rondo_model::depth::{Draw, Unroll};
use rondo_model::pass::Pass;
use rondo_train::batches::DeviceBatch;
use rondo_train::config::ResolvedConfig;
use rondo_train::device::Listed;
use rondo_train::distributed::{RankPace, Share, World};
use rondo_train::error::{Error, Result};
use rondo_train::evaluate::Evaluation;
use rondo_train::initial_states::InitialStates;
use rondo_train::plan::StepPlan;
use rondo_train::step::Learner;

use super::samples::Samples;
use crate::cli::Rounds;
use crate::commands::trial::counting_batch;

/// The work of one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Step,
    LoggedStep,
    Forward,
    Eval,
}

impl Work {
    /// Returns the iterations of one round.
    pub(super) fn unroll(self, config: &ResolvedConfig) -> Unroll {
        let planned = config.model.recurrence.planned();
        let free = |no_grad| Unroll {
            no_grad,
            with_grad: 0,
        };
        match self {
            Self::Step | Self::LoggedStep => planned,
            Self::Forward => free(planned.total()),
            Self::Eval => free(config.eval.recurrence.iter().copied().max().unwrap_or(1)),
        }
    }
}

/// A model, and the work that is timed with it.
pub(super) struct Subject<'a> {
    config: &'a ResolvedConfig,
    learner: Learner,
    listed: &'a Listed,
    work: Work,
    unroll: Unroll,
    world: World,
    /// The number of micro-batches that this rank computes in a step.
    micro_batches: usize,
}

impl<'a> Subject<'a> {
    /// Prepares the model of `config` for rounds of `unroll` iterations. The ranks of `world` share
    /// each step.
    ///
    /// # Errors
    ///
    /// Returns an error if the ranks cannot share the micro-batches of a step.
    pub(super) fn new(
        config: &'a ResolvedConfig,
        work: Work,
        unroll: Unroll,
        listed: &'a Listed,
        world: &World,
    ) -> Result<Self> {
        let share = Share::of(config.train.accumulation, world.rank(), world.world_size())?;
        let mut learner = Learner::fresh(config, listed);
        learner.share_with(world, config);
        Ok(Self {
            config,
            learner,
            listed,
            work,
            unroll,
            world: world.clone(),
            micro_batches: share.count,
        })
    }

    /// Times rounds of the work. The time of a round is the time of the slowest rank.
    ///
    /// # Errors
    ///
    /// Returns an error if the device fails, or a timed step reports a loss that no step can have.
    pub(super) fn time(&mut self, rounds: Rounds) -> Result<Samples> {
        let mut seconds = Vec::new();
        for round in 0..rounds.warmup + rounds.counted {
            if round == rounds.warmup {
                // Discards the waiting times of the ranks so far.
                self.ranks()?;
            }
            self.world.barrier()?;
            let started = Instant::now();
            self.run(round as u64 + 1)?;
            self.listed.sync()?;
            if round >= rounds.warmup {
                seconds.push(started.elapsed().as_secs_f64());
            }
        }
        check(&self.learner.unread_losses()?)?;
        Ok(Samples::new(slowest(&seconds, &self.world)?))
    }

    /// Returns how long the ranks have reduced and waited since the last call; `None` for a single
    /// process.
    ///
    /// # Errors
    ///
    /// Returns an error if a rank is missing.
    pub(super) fn ranks(&mut self) -> Result<Option<RankPace>> {
        self.learner.rank_pace()
    }

    /// Runs the work once; `step` is the number of the step.
    ///
    /// # Errors
    ///
    /// Returns an error if the device fails.
    pub(super) fn run(&mut self, step: u64) -> Result<()> {
        let config = self.config;
        let seq = config.train.seq;
        let batch = counting_batch(config);
        match self.work {
            Work::Step | Work::LoggedStep => {
                let draw = Draw {
                    unroll: self.unroll,
                    clamped_from: None,
                };
                let step = config.train.past_warmup(step);
                let plan = StepPlan {
                    draw,
                    logged: self.work == Work::LoggedStep,
                    ..StepPlan::new(config, step)
                };
                self.learner
                    .step(&plan, &vec![batch; self.micro_batches])
                    .map(|_| ())
            }
            Work::Forward => {
                let device = &self.listed.device;
                let shape = [batch.batch, batch.seq];
                let states = InitialStates::Seed(config.seed);
                let state = states.at(&config.model, 0, 0, shape, device)?;
                let batch = DeviceBatch::new(&batch, device);
                let pass = batch.pass(Pass::new(&config.model, seq, device));
                let model = self.learner.model().valid();
                let forward = model.forward(batch.inputs, state, &pass, self.unroll.total(), None);
                model.logits(forward.readout.hidden);
                Ok(())
            }
            Work::Eval => {
                let evaluation = Evaluation {
                    config: &config.model,
                    states: &InitialStates::Seed(config.seed),
                    depths: &config.eval.recurrence,
                    exits: &[],
                    max_iterations: 0,
                    batches: &[batch],
                    bytes_per_token: None,
                    task: false,
                    listed: self.listed,
                };
                evaluation.run(self.learner.model(), |_| Ok(())).map(|_| ())
            }
        }
    }
}

/// Returns the seconds of each round on its slowest rank.
pub(super) fn slowest(seconds: &[f64], world: &World) -> Result<Vec<f64>> {
    let all = world.told(world.collective().all_gather_numbers(seconds))?;
    let of_round = |round: usize| all.iter().skip(round).step_by(seconds.len()).copied();
    Ok((0..seconds.len())
        .map(|round| of_round(round).fold(0.0, f64::max))
        .collect())
}

/// Returns an error if a loss was not computed. If a GPU's driver cannot allocate more buffers,
/// kernels that need buffers do nothing, report no error, and take no time.
fn check(losses: &[f64]) -> Result<()> {
    match losses
        .iter()
        .find(|loss| !(loss.is_finite() && **loss > 0.0))
    {
        None => Ok(()),
        Some(loss) => Err(Error::Device(format!(
            "a step that was timed has the loss {loss}: the device did not compute it; if its memory is full, \
             lower train.batch or set model.recurrence.recompute=\"iteration\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_without_a_loss_is_not_timed() {
        assert!(check(&[8.3, 0.1]).is_ok());
        assert!(check(&[]).is_ok());
        for loss in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = check(&[8.3, loss]).expect_err("no loss of a step");
            assert!(error.to_string().contains("train.batch"), "{error}");
        }
    }
}
