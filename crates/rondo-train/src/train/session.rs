//! A run in progress: the training loop, and the records of each step.

use std::sync::Arc;
use std::time::Instant;

use rondo_data::Source;
use rondo_metrics::names::{DIFFICULTY, GRAD_NORM, LOSS};
use rondo_metrics::{Event, Record};
use rondo_schedule::control::Constraint;
use serde_json::Value;

use super::control::Control;
use super::corpora::Corpora;
use super::evaluation::Validation;
use super::feed::{Feed, Recipe, Staging, Wanted};
use super::journal::{Journal, Standing};
use super::keeper::{Keeper, Saved, files};
use super::ranks::Ranks;
use crate::config::ResolvedConfig;
use crate::device::Listed;
use crate::distributed::replicas::refuse_drift;
use crate::error::{Error, Result};
use crate::guard::Skipped;
use crate::interrupt;
use crate::plan::StepPlan;
use crate::progress::RunProgress;
use crate::record::{self, Pace};
use crate::rows::Rows;
use crate::run_dir::RunDir;
use crate::step::{Learner, Observation, Taken};

/// A run in progress.
pub(super) struct Session {
    pub(super) config: ResolvedConfig,
    pub(super) listed: Listed,
    pub(super) run_dir: RunDir,
    pub(super) corpora: Arc<Corpora>,
    pub(super) validation: Validation,
    pub(super) learner: Learner,
    pub(super) control: Option<Control>,
    pub(super) progress: RunProgress,
    pub(super) journal: Journal,
    /// Saves the checkpoints. `None` on ranks other than 0.
    pub(super) keeper: Option<Keeper>,
    pub(super) ranks: Ranks,
    /// Whether this process has taken a step.
    pub(super) has_stepped: bool,
}

impl Session {
    /// Trains to the configured length and returns the summary.
    pub(super) fn run(&mut self, staging: Staging) -> Result<Value> {
        let result = self.train(staging);
        if let Err(error) = &result {
            self.keep_what_stopped(error)?;
        }
        // Writing the last checkpoint may take longer than a step. The limit on waiting is
        // therefore the longer one for the start of a run.
        let world = &self.ranks.world;
        world.wait_at_most(self.config.distributed.start_deadline());
        let saved = self.keeper.as_mut().map_or(Ok(None), Keeper::wait);
        let recorded = saved.and_then(|saved| self.record_saved(saved));
        self.journal.close()?;
        result.and(recorded)?;
        let summary = self.write_summary()?;
        self.journal.show_result(self.run_dir.path());
        Ok(summary)
    }

    /// Returns whether loss and gradient norm are read before each update.
    fn looks_first(&self) -> bool {
        self.listed.reads_are_free() || !self.ranks.world.is_alone()
    }

    /// If `error` means that a rule has stopped the run, records the reason and saves the run's
    /// state.
    fn keep_what_stopped(&mut self, error: &Error) -> Result<()> {
        let (name, is_whole) = match error {
            // If losses are read before the update, the failed step has not changed the weights.
            Error::Nonfinite(_) => (Event::Nonfinite, self.looks_first()),
            Error::Stopped(_) => (Event::Stopped, true),
            _ => return Ok(()),
        };
        let mut event = self.progress.event(name);
        event.push("reason", error.to_string())?;
        self.journal.write(&event)?;
        if is_whole && self.progress.step > 0 {
            self.save()?;
        }
        self.write_summary()?;
        Ok(())
    }

    fn train(&mut self, staging: Staging) -> Result<()> {
        if self.progress.step == 0 {
            self.evaluate_timed()?;
        }
        if self.progress.owes_evaluation {
            self.evaluate_timed()?;
            self.journal.check()?;
            self.save()?;
        }
        self.journal.status(match self.listed.reads_are_free() {
            true => "first step …",
            false => "first step: compiling kernels …",
        });
        let mut feed = self.ranks.world.agree(self.feed(staging))?;
        while self.progress.step < self.config.train.steps {
            let plan = StepPlan::new(&self.config, self.progress.step + 1);
            let curriculum = self.progress.curriculum;
            let inputs = feed.take(Wanted {
                step: plan.step,
                curriculum,
            })?;
            let tokens = inputs.tokens;
            self.perturb(&plan)?;
            if let Some(control) = &mut self.control {
                self.learner.penalise(control.strength(plan.step));
            }
            let Taken {
                loss,
                observation,
                skipped,
                stop,
            } = self.learner.step_on(&plan, inputs)?;
            self.advance(&plan, tokens)?;
            self.record_skipped(&skipped)?;
            let saved = self.keeper.as_mut().map_or(Ok(None), Keeper::committed)?;
            self.record_saved(saved)?;
            let loss = loss.or(observation.as_ref().map(|seen| seen.loss));
            let loss = loss.filter(|loss| loss.is_finite());
            self.control(Constraint::Training, loss)?;
            if let Some(seen) = observation {
                self.log(&plan, &seen)?;
            }
            if plan.evaluated {
                self.evaluate_timed()?;
            }
            self.journal.check()?;
            // Only some of the ranks may have received a request to stop. All ranks use the sum of
            // the requests over the ranks, which the step has computed.
            let stop = match self.ranks.world.is_alone() {
                true => interrupt::asked(),
                false => stop,
            };
            if plan.saved || stop {
                self.save()?;
            }
            if stop && self.progress.step < self.config.train.steps {
                return Err(interrupted(self.progress.step));
            }
        }
        Ok(())
    }

    /// Opens the source of the inputs of the steps.
    fn feed(&self, staging: Staging) -> Result<Feed> {
        let recipe = Recipe {
            corpora: self.corpora.clone(),
            config: self.config.clone(),
            share: self.ranks.share,
            maker: self.learner.input_maker(),
        };
        Feed::open(recipe, staging)
    }

    /// Evaluates, and passes the seconds to the estimate of the duration.
    fn evaluate_timed(&mut self) -> Result<()> {
        let started = Instant::now();
        self.evaluate()?;
        self.journal.evaluated_in(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Starts to save a checkpoint after the current step.
    ///
    /// # Errors
    ///
    /// When an unread step must stop the run, or the previous checkpoint could not be written.
    pub(super) fn save(&mut self) -> Result<()> {
        let paused = Instant::now();
        let skipped = self.learner.settle()?;
        self.record_skipped(&skipped)?;
        let (world, step) = (&self.ranks.world, self.progress.step);
        if !world.is_alone() && !self.config.distributed.shard_optimizer {
            refuse_drift(world, self.learner.model(), step)?;
        }
        // A rank without a keeper only sends the moments that it owns to rank 0.
        let moments = match &self.keeper {
            None if !self.config.distributed.shard_optimizer => Vec::new(),
            _ => self.learner.moments()?,
        };
        if let Some(keeper) = &mut self.keeper {
            let (model, control) = (&self.config.model, self.control.as_ref());
            let files = files(&self.learner, moments, model, &self.progress, control)?;
            let evaluated = self.journal.evaluated();
            let before = keeper.save(&self.progress, files, evaluated)?;
            self.record_saved(before)?;
        }
        self.journal.pause(paused);
        Ok(())
    }

    /// Records the event of a checkpoint that was committed.
    fn record_saved(&mut self, saved: Option<Saved>) -> Result<()> {
        match saved {
            Some(saved) => {
                self.ranks.world.has_saved(saved.step());
                self.journal.write(&saved.event()?)
            }
            None => Ok(()),
        }
    }

    /// Records skipped updates. Each event is dated to its own step.
    fn record_skipped(&mut self, skipped: &[Skipped]) -> Result<()> {
        for one in skipped {
            let event = match one.limit {
                Some(_) => Event::LossSpike,
                None => Event::Nonfinite,
            };
            let mut event = Record::event(one.step, self.progress.tokens, event);
            event
                .push("policy", "skip")?
                .push(LOSS.name(), one.loss)?
                .push(GRAD_NORM.name(), one.grad_norm)?;
            if let Some(limit) = one.limit {
                event.push("limit", limit)?;
            }
            self.journal.write(&event)?;
        }
        Ok(())
    }

    /// Passes a cross entropy to the controller that adjusts the penalty of the gates.
    pub(super) fn control(
        &mut self,
        constraint: Constraint,
        cross_entropy: Option<f64>,
    ) -> Result<()> {
        let (Some(control), Some(cross_entropy)) = (&mut self.control, cross_entropy) else {
            return Ok(());
        };
        let Some(missed) = control.observe(constraint, self.progress.step, cross_entropy) else {
            return Ok(());
        };
        let mut event = self.progress.event(Event::TargetMissed);
        missed.describe(&mut event)?;
        self.journal.write(&event)
    }

    /// Applies the disturbances of a step.
    fn perturb(&mut self, plan: &StepPlan) -> Result<()> {
        for one in &self.config.perturb {
            if one.at_step() != plan.step {
                continue;
            }
            self.learner.perturb(one, &self.config, plan.step);
            // The event is dated to the next step, so a run that resumes before that step records
            // it again.
            let mut event = Record::event(plan.step, self.progress.tokens, Event::Perturb);
            one.describe(&mut event)?;
            self.journal.write(&event)?;
        }
        Ok(())
    }

    /// Updates the progress after a step in which this rank had `own` tokens.
    fn advance(&mut self, plan: &StepPlan, own: usize) -> Result<()> {
        let world = &self.ranks.world;
        // Every other rank has the same number of rows with the same length.
        let tokens = (own * world.world_size()) as u64;
        if !world.is_alone() && !self.has_stepped {
            world.wait_at_most(self.config.distributed.deadline());
            self.has_stepped = true;
        }
        world.stands_at(plan.step);
        self.progress.step = plan.step;
        self.progress.tokens += tokens;
        self.journal.count(tokens);
        if let Some(drawn) = plan.draw.clamped_from {
            self.progress.clamped += 1;
            let mut event = self.progress.event(Event::DepthClamped);
            event
                .push("drawn", drawn)?
                .push("to", self.config.model.recurrence.max)?;
            self.journal.write(&event)?;
        }
        Ok(())
    }

    /// Records the measurements of a step. If the model has mastered the difficulty of a task,
    /// raises the difficulty.
    fn log(&mut self, plan: &StepPlan, seen: &Observation) -> Result<()> {
        let lap = self.journal.lap();
        let per_second = lap.tokens_per_second();
        let rows = Rows::new(self.corpora.own(), &self.config);
        let seq = rows.seq(self.progress.curriculum.as_ref());
        let flops = self
            .config
            .flops_per_token_at(plan.step, plan.draw.unroll, seq);
        let flops = per_second * flops;
        let world_size = self.ranks.world.world_size();
        let (memory_bytes, ranks) = self.compare_ranks()?;
        let peak = self.config.metrics.peak_flops;
        let pace = Pace {
            tokens_per_second: per_second,
            step_seconds: lap.step_seconds(),
            mfu: peak.map(|peak| flops / (peak * world_size as f64)),
            memory_bytes,
            lr_sum: self.learner.rates().value(),
            control: self.control.as_ref().map(Control::reading),
            ranks,
        };
        let record = record::train(plan, &self.progress, seen, &pace);
        self.journal.train(&record, seen.loss)?;
        self.advance_curriculum(plan, seen)
    }

    /// Returns the memory of the rank that uses the most. If there are several ranks, also returns
    /// how long the ranks reduce and wait. Shows a warning about a slow rank.
    fn compare_ranks(&mut self) -> Result<(Option<u64>, Option<record::Ranks>)> {
        let own = self.listed.memory_bytes();
        let Some(exchange) = self.learner.exchange() else {
            return Ok((own, None));
        };
        let pace = exchange.lap(own)?;
        if let Some(slow) = &pace.slow {
            self.journal.warn(slow);
        }
        let ranks = record::Ranks {
            world_size: self.ranks.world.world_size(),
            reduce_seconds: pace.reduce_seconds,
            wait_seconds: pace.wait_seconds,
        };
        Ok((pace.memory_bytes, Some(ranks)))
    }

    fn advance_curriculum(&mut self, plan: &StepPlan, seen: &Observation) -> Result<()> {
        let (Source::Task(task), Some(state)) = (self.corpora.own(), self.progress.curriculum)
        else {
            return Ok(());
        };
        let recurrence = plan.draw.unroll.total();
        let Some(next) = state.advance(task.curriculum(), seen.accuracy, recurrence) else {
            return Ok(());
        };
        self.progress.curriculum = Some(next);
        let mut event = self.progress.event(Event::Curriculum);
        event.push(DIFFICULTY.name(), next.difficulty)?;
        self.journal.write(&event)
    }

    /// Writes `summary.json` on rank 0. Returns the summary.
    fn write_summary(&self) -> Result<Value> {
        let summary = self.journal.summary(&Standing {
            progress: &self.progress,
            skipped_updates: self.learner.guard().skipped,
            target: self.control.as_ref().and_then(|it| it.reading().target),
            device: self.listed.label(),
        });
        if self.keeper.is_some() {
            self.run_dir.write_summary(&summary)?;
        }
        Ok(summary)
    }
}

/// Returns the error of a run that a signal has ended after step `step`.
pub(super) fn interrupted(step: u64) -> Error {
    Error::Interrupted(format!(
        "interrupted after step {step}; the same command resumes there"
    ))
}
