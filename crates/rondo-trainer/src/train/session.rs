//! A run in progress: the loop, and what it logs, evaluates and saves.

use std::collections::BTreeMap;
use std::time::Instant;

use rondo_checkpoint::{Retention, TensorFile};
use rondo_control::Constraint;
use rondo_data::{Batch, Source};
use rondo_metrics::format::duration;
use rondo_metrics::{Event, Fanout, Progress, Record, Sink};
use rondo_model::census::Census;
use rondo_model::schedule::{RateSum, Run};
use serde_json::json;

use super::clock::Clock;
use super::control::Control;
use super::last::Last;
use super::saver::{Contents, Saved, Saver};
use super::watch::Watch;
use crate::config::RunConfig;
use crate::device::Listed;
use crate::error::{Error, Result};
use crate::evaluate::Evaluation;
use crate::evaluate::tables::depth_table;
use crate::guard::Skipped;
use crate::interrupt;
use crate::plan::StepPlan;
use crate::progress::RunProgress;
use crate::record::{self, Beside, Pace};
use crate::run_dir::{RunDir, progress_file};
use crate::source::Rows;
use crate::states::InitialStates;
use crate::step::{Learner, Observation, Taken};
use crate::weights::{MODEL_FILE, OPTIMIZER_FILE, model_tensors, optimizer_tensors};

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
    pub(super) lr_sum: RateSum,
    pub(super) val_batches: Vec<Batch>,
    pub(super) sinks: Fanout,
    pub(super) screen: Progress,
    pub(super) clock: Clock,
    pub(super) last: Last,
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
        self.sinks.finish().map_err(anyhow::Error::from)?;
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
        event
            .push("reason", error.to_string())
            .map_err(anyhow::Error::from)?;
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
            let source = self.source_at(plan.step);
            let batches = source.micro_batches(&self.config, plan.step, curriculum.as_ref())?;
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
    fn tell_skipped(&mut self, skipped: &[Skipped]) -> Result<()> {
        for one in skipped {
            let event = match one.limit {
                Some(_) => Event::LossSpike,
                None => Event::Nonfinite,
            };
            let mut event = Record::event(one.step, self.progress.tokens, event);
            event
                .push("policy", "skip")
                .and_then(|event| event.push("loss", one.loss))
                .and_then(|event| event.push("grad_norm", one.grad_norm))
                .map_err(anyhow::Error::from)?;
            if let Some(limit) = one.limit {
                event.push("limit", limit).map_err(anyhow::Error::from)?;
            }
            self.write(&event)?;
        }
        Ok(())
    }

    /// Lets the controller of the gates' penalty see a cross entropy.
    fn control(&mut self, constraint: Constraint, cross_entropy: Option<f64>) -> Result<()> {
        let (Some(control), Some(cross_entropy)) = (&mut self.control, cross_entropy) else {
            return Ok(());
        };
        let Some(missed) = control.observe(constraint, self.progress.step, cross_entropy) else {
            return Ok(());
        };
        let mut event = self.event(Event::TargetMissed);
        missed.describe(&mut event).map_err(anyhow::Error::from)?;
        self.write(&event)
    }

    /// Returns the training data of a step.
    fn source_at(&self, step: u64) -> &Source {
        let switched = self.switched.iter().rev();
        let now = switched.map(|(from, source)| (*from, source));
        now.into_iter()
            .find(|(from, _)| *from <= step)
            .map_or(&self.source, |(_, source)| source)
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
            one.describe(&mut event).map_err(anyhow::Error::from)?;
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
        self.lr_sum.add(plan.lr);
        if let Some(drawn) = plan.draw.clamped_from {
            self.progress.clamped += 1;
            let mut event = self.event(Event::DepthClamped);
            event
                .push("drawn", drawn)
                .and_then(|event| event.push("to", self.config.model.recurrence.max))
                .map_err(anyhow::Error::from)?;
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
        let seq = self
            .source
            .seq(&self.config, self.progress.curriculum.as_ref());
        let flops = per_second * self.census.flops_per_token(plan.draw.unroll, seq);
        let pace = Pace {
            tokens_per_second: per_second,
            step_seconds: seconds / steps.max(1) as f64,
            mfu: self.config.metrics.peak_flops.map(|peak| flops / peak),
            memory_bytes: self.listed.memory_bytes(),
            lr_sum: self.lr_sum.value(),
            control: self.control.as_ref().map(Control::reading),
        };
        let record =
            record::train(plan, &self.progress, seen, &pace).map_err(anyhow::Error::from)?;
        self.last.loss = Some(seen.loss);
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
        event
            .push("difficulty", next.difficulty)
            .map_err(anyhow::Error::from)?;
        self.write(&event)
    }

    fn evaluate(&mut self) -> Result<()> {
        let paused = Instant::now();
        let mean = self.config.model.recurrence.planned().total();
        let mut depths = self.config.eval.recurrence.clone();
        depths.push(mean);
        let states = InitialStates::Seed(self.config.run.seed);
        let evaluation = Evaluation {
            config: &self.config.model,
            states: &states,
            depths: &depths,
            exits: &[],
            max_iterations: 0,
            batches: &self.val_batches,
            bytes_per_token: self.source.bytes_per_token(),
            task: self.config.data.is_task(),
            device: &self.listed.device,
        };
        let total = self.val_batches.len();
        let screen = &mut self.screen;
        let step = self.progress.step;
        let evaluated = evaluation.run(self.learner.model(), |done| {
            if interrupt::asked() {
                return Err(interrupted(step));
            }
            // A line for each batch would be noise where there is no live line.
            if done == 1 {
                screen.status(&format!(
                    "evaluating {total} batches at {} depths …",
                    depths.len()
                ));
            }
            Ok(())
        });
        if let Err(Error::Interrupted(_)) = &evaluated
            && self.progress.step > 0
        {
            // The run goes on with it.
            self.progress.owes_evaluation = true;
            self.save()?;
        }
        let evaluated = evaluated?;
        self.progress.owes_evaluation = false;
        let at_mean = evaluated.at(mean).map(|depth| depth.loss);
        if self.progress.step > 0 {
            self.control(Constraint::Validation, at_mean)?;
        }
        let beside = Beside {
            unigram: match (&self.source, self.progress.step) {
                (Source::Text(text), 0) => Some(text.unigram_cross_entropy()),
                _ => None,
            },
            control: self.control.as_ref().map(Control::reading),
        };
        let configured = &self.config.eval.recurrence;
        let record = record::eval(&self.progress, &evaluated, configured, mean, beside)
            .map_err(anyhow::Error::from)?;
        self.last.evaluated = at_mean.map(|loss| (self.progress.step, loss));
        self.last.kept_edges = evaluated.sparsity.map(|sparsity| sparsity.kept);
        self.last.depths = evaluated
            .depths
            .into_iter()
            .filter(|depth| configured.contains(&depth.recurrence))
            .collect();
        self.write(&record)?;
        self.screen.eval(&record);
        self.clock.paused += paused.elapsed().as_secs_f64();
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        let paused = Instant::now();
        let skipped = self.learner.settle()?;
        self.tell_skipped(&skipped)?;
        self.note_best();
        let file = |tensors| {
            TensorFile::new(tensors, BTreeMap::new()).map_err(|error| Error::Other(error.into()))
        };
        let model = file(model_tensors(self.learner.model(), &self.config.model))?;
        let moments = file(optimizer_tensors(&self.learner.optimizer))?;
        let controller = self.control.as_ref().map(Control::state);
        let progress = RunProgress {
            controller,
            updates: self.learner.optimizer.updates(),
            guard: self.learner.guard().clone(),
            ..self.progress.clone()
        };
        let (progress_name, progress) = progress_file(&progress)?;
        let config_hash = blake3::hash(self.config.to_toml()?.as_bytes()).to_hex();
        let before = self.saver.begin(Contents {
            step: self.progress.step,
            tokens: self.progress.tokens,
            config_hash: config_hash.to_string(),
            files: vec![
                (MODEL_FILE, Box::new(model)),
                (OPTIMIZER_FILE, Box::new(moments)),
                (progress_name, Box::new(progress)),
            ],
            retention: Retention {
                keep_last: self.config.checkpoint.keep_last,
                keep_every: self.config.checkpoint.keep_every,
                keep_best: self.best.map(|(step, _)| step),
            },
        })?;
        self.tell_saved(before)?;
        self.clock.paused += paused.elapsed().as_secs_f64();
        Ok(())
    }

    /// Tells of a checkpoint that has been committed, dated to its step.
    fn tell_saved(&mut self, saved: Option<Saved>) -> Result<()> {
        let Some(saved) = saved else { return Ok(()) };
        let mut event = Record::event(saved.step, saved.tokens, Event::Checkpoint);
        event
            .push("bytes", saved.bytes)
            .map_err(anyhow::Error::from)?;
        self.write(&event)
    }

    /// Remembers the checkpoint to be taken where no evaluation was better.
    fn note_best(&mut self) {
        let here = self.last.evaluated.filter(|(step, loss)| {
            *step == self.progress.step && loss.is_finite() && self.config.checkpoint.keep_best
        });
        let Some((step, loss)) = here else { return };
        if self.best.is_none_or(|(_, best)| loss < best) {
            self.best = Some((step, loss));
        }
    }

    /// Starts an event's record.
    pub(super) fn event(&self, event: Event) -> Record {
        Record::event(self.progress.step, self.progress.tokens, event)
    }

    /// Writes a record everywhere, and what is diagnosed from it; events are shown too.
    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        self.deliver(record)?;
        for finding in self.watch.observe(record) {
            let event = finding.record(record.tokens).map_err(anyhow::Error::from)?;
            self.deliver(&event)?;
        }
        Ok(())
    }

    fn deliver(&mut self, record: &Record) -> Result<()> {
        self.sinks.write(record).map_err(anyhow::Error::from)?;
        while let Some(warning) = self.sinks.warning() {
            self.screen.warn(&warning);
        }
        if record.which_event().is_some() {
            self.screen.event(record);
        }
        Ok(())
    }

    fn write_summary(&self) -> Result<serde_json::Value> {
        let summary = json!({
            "step": self.progress.step,
            "tokens": self.progress.tokens,
            "final_loss": self.last.loss,
            "clamped_draws": self.progress.clamped,
            "skipped_updates": self.learner.guard().skipped,
            "depths": self.last.depths,
            "sparsity": self.last.kept_edges,
            "target_cross_entropy": self.control.as_ref().and_then(|it| it.reading().target),
            "device": self.listed.label(),
            "verdict": self.watch.verdict(),
            "findings": self.watch.findings(),
        });
        self.run_dir.write_summary(&summary)?;
        Ok(summary)
    }

    /// Shows the last evaluation, and what the run has come to.
    fn show_result(&mut self) {
        self.screen
            .note(&depth_table(&self.last.depths).to_string());
        self.screen.note(&format!(
            "finished in {}: {}",
            duration(self.clock.started.elapsed().as_secs_f64()),
            self.run_dir.path().display()
        ));
        if let Some(lasting) = self.watch.lasting() {
            self.screen.warn(&lasting);
        }
    }
}

fn interrupted(step: u64) -> Error {
    Error::Interrupted(format!(
        "interrupted after step {step}; the same command goes on from there"
    ))
}
