//! Time since the start of a run, and time spent training between two logged steps, evaluations and saves left out.

use std::time::Instant;

/// The time and the work since the last reading.
pub(super) struct Clock {
    pub(super) started: Instant,
    /// Seconds that earlier launches have recorded.
    before: f64,
    since: Instant,
    pub(super) paused: f64,
    pub(super) steps: u64,
    pub(super) tokens: u64,
}

impl Clock {
    /// Starts now, in a run that has lasted `before` seconds.
    pub(super) fn start(before: f64) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            before,
            since: now,
            paused: 0.0,
            steps: 0,
            tokens: 0,
        }
    }

    /// Returns the seconds since the start of the run: of this launch, by a clock that is never set, and of those before
    /// it up to what was kept of them.
    pub(super) fn run_seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Returns the seconds of training since the last call.
    pub(super) fn take(&mut self) -> f64 {
        let seconds = self.since.elapsed().as_secs_f64() - self.paused;
        self.since = Instant::now();
        self.paused = 0.0;
        seconds
    }
}
