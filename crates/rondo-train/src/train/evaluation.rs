//! Evaluations during a run.

use std::time::Instant;

use rondo_data::Source;
use rondo_schedule::control::Constraint;

use super::control::Control;
use super::session::{Session, interrupted};
use crate::error::{Error, Result};
use crate::evaluate::{Evaluated, Evaluation};
use crate::initial_states::InitialStates;
use crate::interrupt;
use crate::record::{self, Beside};

impl Session {
    /// Evaluates at the configured depths and the mean one, and tells what was found.
    ///
    /// # Errors
    ///
    /// Where the device fails, a record cannot be written, or a signal comes: then the evaluation is owed, and
    /// what there is has been saved.
    pub(super) fn evaluate(&mut self) -> Result<()> {
        let paused = Instant::now();
        let mean = self.config.model.recurrence.planned().total();
        let mut depths = self.config.eval.recurrence.clone();
        depths.push(mean);
        depths.sort_unstable();
        depths.dedup();
        let evaluated = self.evaluated_at(&depths);
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
        let record = record::eval(&self.progress, &evaluated, configured, mean, beside)?;
        self.summary.evaluated = at_mean.map(|loss| (self.progress.step, loss));
        self.summary.kept_edges = evaluated.sparsity.map(|sparsity| sparsity.kept);
        self.summary.depths = evaluated
            .depths
            .into_iter()
            .filter(|depth| configured.contains(&depth.recurrence))
            .collect();
        self.write(&record)?;
        self.screen.eval(&record);
        self.clock.paused += paused.elapsed().as_secs_f64();
        Ok(())
    }

    /// Evaluates without telling; a signal ends it.
    fn evaluated_at(&mut self, depths: &[usize]) -> Result<Evaluated> {
        let states = InitialStates::Seed(self.config.run.seed);
        let evaluation = Evaluation {
            config: &self.config.model,
            states: &states,
            depths,
            exits: &[],
            max_iterations: 0,
            batches: &self.val_batches,
            bytes_per_token: self.bytes_per_token,
            task: self.config.data.is_task(),
            device: &self.listed.device,
        };
        let total = self.val_batches.len();
        let screen = &mut self.screen;
        let step = self.progress.step;
        evaluation.run(self.learner.model(), |done| {
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
        })
    }
}
