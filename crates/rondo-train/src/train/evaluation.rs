//! Evaluations during a run.

use std::ops::Range;
use std::time::Instant;

use rondo_data::{Batch, Source};
use rondo_schedule::control::Constraint;

use super::control::Control;
use super::session::{Session, interrupted};
use crate::error::{Error, Result};
use crate::evaluate::{Evaluated, Evaluation};
use crate::initial_states::InitialStates;
use crate::record::{self, Beside};

/// The validation data of a run.
pub(super) struct Validation {
    pub(super) batches: Vec<Batch>,
    /// The bytes of text per target. `None` for tasks.
    pub(super) bytes_per_token: Option<f64>,
    /// The name of each source in a mixture, and the range of its batches. Empty for other data.
    pub(super) sources: Vec<(String, Range<usize>)>,
}

impl Session {
    /// Evaluates at the configured depths and at the mean recurrence, continues the configured
    /// prompts, and records the results.
    ///
    /// # Errors
    ///
    /// When the device fails, a record cannot be written, or a signal comes. After a signal, the
    /// evaluation is marked as pending and the run is saved.
    pub(super) fn evaluate(&mut self) -> Result<()> {
        let paused = Instant::now();
        let mean = self.config.model.recurrence.planned().total();
        let mut depths = self.config.eval.recurrence.clone();
        depths.push(mean);
        depths.sort_unstable();
        depths.dedup();
        let evaluated = self.evaluated_at(&depths);
        let evaluated = evaluated.and_then(|all| Ok((all, self.samples()?)));
        if let Err(Error::Interrupted(_)) = &evaluated
            && self.progress.step > 0
        {
            // The evaluation is pending: a resume reruns it.
            self.progress.owes_evaluation = true;
            self.save()?;
        }
        let (evaluated, samples) = evaluated?;
        self.progress.owes_evaluation = false;
        let at_mean = evaluated.at(mean).map(|depth| depth.loss);
        if self.progress.step > 0 {
            self.control(Constraint::Validation, at_mean)?;
        }
        let sources = self.validation.sources.iter();
        let by_source: Vec<(String, f64)> = sources
            .filter_map(|(source, batches)| {
                let loss = evaluated.loss_of(batches.clone(), mean)?;
                Some((source.clone(), loss))
            })
            .collect();
        let beside = Beside {
            by_source: &by_source,
            unigram: match (self.corpora.own(), self.progress.step) {
                (Source::Text(text), 0) => Some(text.unigram_cross_entropy()),
                _ => None,
            },
            control: self.control.as_ref().map(Control::reading),
        };
        let configured = &self.config.eval.recurrence;
        let record = record::eval(&self.progress, &evaluated, configured, mean, beside);
        let step = self.progress.step;
        self.journal.eval(&record, |summary| {
            summary.evaluated = at_mean.map(|loss| (step, loss));
            summary.kept_edges = evaluated.sparsity.map(|sparsity| sparsity.kept);
            let depths = evaluated.depths.into_iter();
            summary.depths = depths
                .filter(|depth| configured.contains(&depth.recurrence))
                .collect();
        })?;
        // Samples are recorded after the evaluation. A resume that reruns the evaluation removes
        // the record of the evaluation and all later records, and thus these samples too.
        for sample in &samples {
            self.journal.sample(sample, &self.progress)?;
        }
        self.journal.pause(paused);
        Ok(())
    }

    /// Evaluates at `depths`, without recording the results. A signal interrupts the evaluation.
    fn evaluated_at(&mut self, depths: &[usize]) -> Result<Evaluated> {
        let states = InitialStates::Seed(self.config.seed);
        let evaluation = Evaluation {
            config: &self.config.model,
            states: &states,
            depths,
            exits: &[],
            max_iterations: 0,
            batches: &self.validation.batches,
            bytes_per_token: self.validation.bytes_per_token,
            task: self.config.data.is_task(),
            listed: &self.listed,
        };
        let total = evaluation.batches.len();
        let journal = &mut self.journal;
        let step = self.progress.step;
        let world = &self.ranks.world;
        let first = world.world_size().min(total);
        evaluation.run_on(world, self.learner.model(), |done, stop| {
            if stop {
                return Err(interrupted(step));
            }
            // Prints one line only: on a screen without a live line, a line for each batch would be
            // too much.
            if done == first {
                journal.status(&format!(
                    "evaluating {total} batches at {} depths …",
                    depths.len()
                ));
            }
            Ok(())
        })
    }
}
