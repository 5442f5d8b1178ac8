//! Estimates the time for the remaining steps of a run from its records.

use crate::names::STEP_SECONDS;
use crate::record::Record;
use crate::throughput::Throughput;

/// The number of logged intervals in the estimate. It is large enough to average over the drawn
/// depths, and small enough to follow a change of speed.
const WINDOW: usize = 32;

/// The recent seconds per step of a training process, and the step that it has reached.
#[derive(Clone, Debug)]
pub struct TimeLeft {
    /// The step at which the last interval ended.
    last_step: u64,
    steps: Throughput,
    intervals: u64,
}

impl TimeLeft {
    /// Starts at the first step of a process: 0, or the step of the checkpoint from which the
    /// process resumes.
    pub fn new(start_step: u64) -> Self {
        Self {
            last_step: start_step,
            steps: Throughput::new(WINDOW),
            intervals: 0,
        }
    }

    /// Reads the next record of a training step.
    pub fn observe(&mut self, record: &Record) {
        // The first interval of a process includes the compilation of kernels, so the second
        // interval replaces it.
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

    /// Returns the seconds from the last record until `total_steps`, without pauses for evaluations
    /// and checkpoints. Returns `None` before the first interval.
    pub fn until(&self, total_steps: u64) -> Option<f64> {
        let steps = total_steps.saturating_sub(self.last_step);
        self.steps.seconds_for(steps as f64)
    }
}
