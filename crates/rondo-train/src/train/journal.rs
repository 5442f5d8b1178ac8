//! The journal of a run: writes its records, shows its progress on the screen, and looks for
//! failures in the records.

use std::path::Path;
use std::time::Instant;

use rondo_metrics::names::{TARGET_CROSS_ENTROPY, VAL_SPARSITY};
use rondo_metrics::{Fanout, Progress, Record, Sample, Sink};
use serde_json::{Value, json};

use super::clock::{Clock, Lap};
use super::expected::Expected;
use super::setup::Written;
use super::summary::Summary;
use super::watch::Watch;
use crate::error::Result;
use crate::progress::RunProgress;

/// Writes the records of a run and shows its progress.
pub(super) struct Journal {
    sinks: Fanout,
    screen: Progress,
    watch: Watch,
    summary: Summary,
    clock: Clock,
    /// The estimator of the duration. `None` if the duration is known or has been reported.
    expected: Option<Expected>,
}

/// The values of a run's summary that the journal does not have.
pub(super) struct Standing<'a> {
    pub(super) progress: &'a RunProgress,
    pub(super) skipped_updates: u64,
    /// The controller's target for the cross entropy, if there is a controller with a target.
    pub(super) target: Option<f64>,
    pub(super) device: String,
}

impl Journal {
    /// Creates the journal for the records that a run has `written`. `expected` estimates the
    /// duration; `None` if the duration is known.
    pub(super) fn new(written: Written, screen: Progress, expected: Option<Expected>) -> Self {
        Self {
            sinks: written.sinks,
            watch: written.watch,
            summary: written.summary,
            clock: Clock::start(written.seconds),
            screen,
            expected,
        }
    }

    /// Writes a record to all sinks. If the record shows a failure, also writes the event of this
    /// finding. Events are shown on the screen, too.
    ///
    /// # Errors
    ///
    /// When a record cannot be written.
    pub(super) fn write(&mut self, record: &Record) -> Result<()> {
        self.deliver(record)?;
        for finding in self.watch.observe(record) {
            let event = finding.record(record.tokens)?;
            self.deliver(&event)?;
            self.screen.note(&format!(
                "  try: {}\n  more: trainer explain {}",
                finding.failure.cure(),
                finding.failure
            ));
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

    /// Writes and shows the record of a logged step. `loss` is the loss of this step.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::write`].
    pub(super) fn train(&mut self, record: &Record, loss: f64) -> Result<()> {
        self.summary.loss = Some(loss);
        self.write(record)?;
        let told = self.expected.as_mut().and_then(|it| it.observe(record));
        if let Some(line) = told {
            self.expected = None;
            if !line.is_empty() {
                self.screen.note(&line);
            }
        }
        self.screen.train(record);
        Ok(())
    }

    /// Sets the seconds of the newest evaluation, for the estimate of the duration.
    pub(super) fn evaluated_in(&mut self, seconds: f64) {
        if let Some(expected) = &mut self.expected {
            expected.evaluated_in(seconds);
        }
    }

    /// Writes and shows the record of an evaluation. `remember` adds the results to the summary.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::write`].
    pub(super) fn eval(
        &mut self,
        record: &Record,
        remember: impl FnOnce(&mut Summary),
    ) -> Result<()> {
        remember(&mut self.summary);
        self.write(record)?;
        self.screen.eval(record);
        Ok(())
    }

    /// Writes and shows the texts that the model has generated after a prompt.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::write`].
    pub(super) fn sample(&mut self, sample: &Sample, progress: &RunProgress) -> Result<()> {
        self.write(&sample.record(progress.step, progress.tokens)?)?;
        self.screen.sample(sample);
        Ok(())
    }

    /// Shows a line that stays on the screen.
    pub(super) fn note(&mut self, text: &str) {
        self.screen.note(text);
    }

    /// Shows a warning.
    pub(super) fn warn(&mut self, text: &str) {
        self.screen.warn(text);
    }

    /// Shows what the run is doing.
    pub(super) fn status(&mut self, text: &str) {
        self.screen.status(text);
    }

    /// Excludes the time from `started` until now from the training time.
    pub(super) fn pause(&mut self, started: Instant) {
        self.clock.pause(started);
    }

    /// Counts a step that has `tokens` tokens.
    pub(super) fn count(&mut self, tokens: u64) {
        self.clock.count(tokens);
    }

    /// Returns the time and work of the training since the last call.
    pub(super) fn lap(&mut self) -> Lap {
        self.clock.lap()
    }

    /// Returns an error if a failure was found whose policy is to stop the run.
    ///
    /// # Errors
    ///
    /// The errors of [`Watch::check`].
    pub(super) fn check(&self) -> Result<()> {
        self.watch.check()
    }

    /// Returns the step of the newest evaluation, and the loss at the mean recurrence.
    pub(super) fn evaluated(&self) -> Option<(u64, f64)> {
        self.summary.evaluated
    }

    /// Returns the content of `summary.json`. `standing` are the values that the journal does not
    /// have.
    pub(super) fn summary(&self, standing: &Standing<'_>) -> Value {
        let summary = &self.summary;
        json!({
            "step": standing.progress.step,
            "tokens": standing.progress.tokens,
            "final_loss": summary.loss,
            "clamped_draws": standing.progress.clamped,
            "skipped_updates": standing.skipped_updates,
            "depths": summary.depths,
            VAL_SPARSITY.name(): summary.kept_edges,
            TARGET_CROSS_ENTROPY.name(): standing.target,
            "device": standing.device,
            "verdict": self.watch.verdict(),
            "findings": self.watch.findings(),
        })
    }

    /// Ends the display of progress and writes all remaining records.
    ///
    /// # Errors
    ///
    /// When the last records cannot be written.
    pub(super) fn close(&mut self) -> Result<()> {
        self.screen.finish();
        Ok(self.sinks.finish()?)
    }

    /// Shows the newest evaluation, and that the run in the directory `run` has ended.
    pub(super) fn show_result(&mut self, run: &Path) {
        self.screen.show(&self.summary.table().to_string());
        let duration = self.clock.launch_duration();
        self.screen
            .note(&format!("finished in {duration}: {}", run.display()));
        if let Some(lasting) = self.watch.lasting() {
            self.screen.warn(&lasting);
        }
    }
}
