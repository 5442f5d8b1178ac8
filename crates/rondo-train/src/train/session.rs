//! A run in progress: the loop, and what it logs and tells.

use rondo_data::{Batch, Source};
use rondo_metrics::{Event, Fanout, Progress, Record, Sink};
use rondo_model::census::Census;
use rondo_schedule::Run;
use rondo_schedule::control::Constraint;

use super::clock::Clock;
use super::control::Control;
use super::saver::Saver;
use super::summary::Summary;
use super::watch::Watch;
use crate::config::RunConfig;
use crate::device::Listed;
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
    pub(super) config: RunConfig,
    pub(super) census: Census,
    pub(super) extent: Run,
    pub(super) listed: Listed,
    pub(super) source: Source,
    /// Other training data, by the step from which on it is used.
    pub(super) switched: Vec<(u64, Source)>,
    pub(super) run_dir: RunDir,
    pub(super) saver: Saver,
    pub(super) learner: Learner,
    pub(super) progress: RunProgress,
    /// The kept checkpoint with the lowest validation loss, and that loss; none where it is not kept.
    pub(super) best: Option<(u64, f64)>,
    pub(super) val_batches: Vec<Batch>,
    /// Bytes of text that a validation target stands for; none on tasks.
    pub(super) bytes_per_token: Option<f64>,
    pub(super) sinks: Fanout,
    pub(super) screen: Progress,
    pub(super) clock: Clock,
    pub(super) summary: Summary,
    pub(super) watch: Watch,
    pub(super) control: Option<Control>,
}

impl Session {
    /// Trains to the end of the budget and returns the summary.
    pub(super) fn run(&mut self) -> Result<serde_json::Value> {
        let result = self.train();
        if let Err(error) = &result {
            self.keep_what_stopped(error)?;
        }
        let saved = self.saver.wait();
        let told = saved.and_then(|saved| self.tell_saved(saved));
        self.screen.finish();
        self.sinks.finish()?;
        result.and(told)?;
        let summary = self.write_summary()?;
        self.show_result();
        Ok(summary)
    }

    /// Tells why a run has stopped itself, and saves what it has.
    fn keep_what_stopped(&mut self, error: &Error) -> Result<()> {
        let (name, is_whole) = match error {
            // On a CPU nothing of the failed step has reached the weights.
            Error::Nonfinite(_) => (Event::Nonfinite, self.listed.reads_are_free()),
            Error::Stopped(_) => (Event::Stopped, true),
            _ => return Ok(()),
        };
        let mut event = self.event(name);
        event.push("reason", error.to_string())?;
        self.write(&event)?;
        if is_whole && self.progress.step > 0 {
            self.save()?;
        }
        self.write_summary()?;
        Ok(())
    }

    fn train(&mut self) -> Result<()> {
        if self.progress.step == 0 {
            self.evaluate()?;
        }
        if self.progress.owes_evaluation {
            self.evaluate()?;
            self.watch.check()?;
            self.save()?;
        }
        self.screen.status(match self.listed.reads_are_free() {
            true => "first step …",
            false => "first step: compiling kernels …",
        });
        while self.progress.step < self.extent.steps {
            let plan = StepPlan::new(&self.config, self.progress.step + 1, self.extent);
            let curriculum = self.progress.curriculum;
            let rows = self.rows_at(plan.step);
            let batches = rows.micro_batches(plan.step, curriculum.as_ref())?;
            self.perturb(&plan)?;
            if let Some(control) = &mut self.control {
                self.learner.penalise(control.strength(plan.step));
            }
            let Taken {
                loss,
                observation,
                skipped,
            } = self.learner.step(&plan, &batches)?;
            self.advance(&plan, &batches)?;
            self.tell_skipped(&skipped)?;
            let saved = self.saver.committed()?;
            self.tell_saved(saved)?;
            let loss = loss.or(observation.as_ref().map(|seen| seen.loss));
            let loss = loss.filter(|loss| loss.is_finite());
            self.control(Constraint::Training, loss)?;
            if let Some(seen) = observation {
                self.log(&plan, &seen)?;
            }
            if plan.evaluated {
                self.evaluate()?;
            }
            self.watch.check()?;
            if plan.saved || interrupt::asked() {
                self.save()?;
            }
            if interrupt::asked() && self.progress.step < self.extent.steps {
                return Err(interrupted(self.progress.step));
            }
        }
        Ok(())
    }

    /// Tells of updates that were not made, dated to their steps.
    pub(super) fn tell_skipped(&mut self, skipped: &[Skipped]) -> Result<()> {
        for one in skipped {
            let event = match one.limit {
                Some(_) => Event::LossSpike,
                None => Event::Nonfinite,
            };
            let mut event = Record::event(one.step, self.progress.tokens, event);
            event
                .push("policy", "skip")?
                .push("loss", one.loss)?
                .push("grad_norm", one.grad_norm)?;
            if let Some(limit) = one.limit {
                event.push("limit", limit)?;
            }
            self.write(&event)?;
        }
        Ok(())
    }

    /// Lets the controller of the gates' penalty see a cross entropy.
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
        let mut event = self.event(Event::TargetMissed);
        missed.describe(&mut event)?;
        self.write(&event)
    }

    /// Returns the rows of the training data of a step.
    fn rows_at(&self, step: u64) -> Rows<'_> {
        let mut latest_first = self.switched.iter().rev();
        let source = latest_first
            .find(|(from, _)| *from <= step)
            .map_or(&self.source, |(_, source)| source);
        Rows::new(source, &self.config)
    }

    /// Does what the configuration has in store for a step.
    fn perturb(&mut self, plan: &StepPlan) -> Result<()> {
        for index in 0..self.config.perturb.len() {
            let one = self.config.perturb[index].clone();
            if one.at_step() != plan.step {
                continue;
            }
            self.learner.perturb(&one, &self.config, plan.step);
            // Of the step to come: a resume before it meets it again.
            let mut event = Record::event(plan.step, self.progress.tokens, Event::Perturb);
            one.describe(&mut event)?;
            self.write(&event)?;
        }
        Ok(())
    }

    /// Counts a step.
    fn advance(&mut self, plan: &StepPlan, batches: &[Batch]) -> Result<()> {
        let tokens: usize = batches.iter().map(|batch| batch.batch * batch.seq).sum();
        self.progress.step = plan.step;
        self.progress.tokens += tokens as u64;
        self.clock.steps += 1;
        self.clock.tokens += tokens as u64;
        if let Some(drawn) = plan.draw.clamped_from {
            self.progress.clamped += 1;
            let mut event = self.event(Event::DepthClamped);
            event
                .push("drawn", drawn)?
                .push("to", self.config.model.recurrence.max)?;
            self.write(&event)?;
        }
        Ok(())
    }

    /// Logs what a step told, and raises a task's difficulty where it has been mastered.
    fn log(&mut self, plan: &StepPlan, seen: &Observation) -> Result<()> {
        let seconds = self.clock.take();
        let (steps, tokens) = (
            std::mem::take(&mut self.clock.steps),
            std::mem::take(&mut self.clock.tokens),
        );
        let per_second = tokens as f64 / seconds.max(f64::MIN_POSITIVE);
        let rows = Rows::new(&self.source, &self.config);
        let seq = rows.seq(self.progress.curriculum.as_ref());
        let flops = per_second * self.census.flops_per_token(plan.draw.unroll, seq);
        let pace = Pace {
            tokens_per_second: per_second,
            step_seconds: seconds / steps.max(1) as f64,
            mfu: self.config.metrics.peak_flops.map(|peak| flops / peak),
            memory_bytes: self.listed.memory_bytes(),
            lr_sum: self.learner.rates().value(),
            control: self.control.as_ref().map(Control::reading),
        };
        let record = record::train(plan, &self.progress, seen, &pace)?;
        self.summary.loss = Some(seen.loss);
        self.write(&record)?;
        self.screen.train(&record);
        self.advance_curriculum(plan, seen)
    }

    fn advance_curriculum(&mut self, plan: &StepPlan, seen: &Observation) -> Result<()> {
        let (Source::Task(task), Some(state)) = (&self.source, self.progress.curriculum) else {
            return Ok(());
        };
        let recurrence = plan.draw.unroll.total();
        let Some(next) = state.advance(task.curriculum(), seen.accuracy, recurrence) else {
            return Ok(());
        };
        self.progress.curriculum = Some(next);
        let mut event = self.event(Event::Curriculum);
        event.push("difficulty", next.difficulty)?;
        self.write(&event)
    }

    /// Starts an event's record.
    pub(super) fn event(&self, event: Event) -> Record {
        Record::event(self.progress.step, self.progress.tokens, event)
    }

    /// Writes a record everywhere, and what is diagnosed from it; events are shown too.
    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        self.deliver(record)?;
        for finding in self.watch.observe(record) {
            let event = finding.record(record.tokens)?;
            self.deliver(&event)?;
        }
        Ok(())
    }

    fn deliver(&mut self, record: &Record) -> Result<()> {
        let record = &record.at_time(self.clock.run_seconds());
        self.sinks.write(record)?;
        while let Some(warning) = self.sinks.warning() {
            self.screen.warn(&warning);
        }
        if record.which_event().is_some() {
            self.screen.event(record);
        }
        Ok(())
    }
}

/// Returns the error of a run that a signal ends after a step.
pub(super) fn interrupted(step: u64) -> Error {
    Error::Interrupted(format!(
        "interrupted after step {step}; the same command goes on from there"
    ))
}
