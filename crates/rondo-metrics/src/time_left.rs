//! The time that the remaining steps of a run take, from its records.

use crate::names::STEP_SECONDS;
use crate::record::Record;
use crate::throughput::Throughput;

/// Logged intervals behind the time left: enough to average the drawn depths out, few enough to follow a
/// change of speed.
const WINDOW: usize = 32;

/// The recent seconds per step of a process that trains.
#[derive(Clone, Debug)]
pub struct TimeLeft {
    /// The step that the last interval ended at.
    last_step: u64,
    steps: Throughput,
    intervals: u64,
}

impl TimeLeft {
    /// Starts where a process starts to train: at step 0, or at the step of the checkpoint that it resumes from.
    pub fn new(start_step: u64) -> Self {
        Self {
            last_step: start_step,
            steps: Throughput::new(WINDOW),
            intervals: 0,
        }
    }

    /// Takes the next record of a training step.
    pub fn observe(&mut self, record: &Record) {
        // The first interval of a process compiles kernels; it counts only until there is a better one.
        if self.intervals == 1 {
            self.steps.clear();
        }
        let steps = record.step.saturating_sub(self.last_step) as f64;
        if let Some(seconds) = record.get(STEP_SECONDS) {
            self.steps.push(steps, steps * seconds);
            self.intervals += 1;
        }
        self.last_step = record.step;
    }

    /// Returns the seconds from the last record until `total_steps`, without the pauses for evaluations and checkpoints;
    /// none before the first interval.
    pub fn until(&self, total_steps: u64) -> Option<f64> {
        let steps = total_steps.saturating_sub(self.last_step);
        self.steps.seconds_for(steps as f64)
    }
}
