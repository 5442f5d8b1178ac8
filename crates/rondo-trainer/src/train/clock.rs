//! Time spent training between two logged steps, evaluations and saves left out.

use std::time::Instant;

/// The time and the work since the last reading.
pub(super) struct Clock {
    pub(super) started: Instant,
    since: Instant,
    pub(super) paused: f64,
    pub(super) steps: u64,
    pub(super) tokens: u64,
}

impl Clock {
    /// Starts now.
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            since: now,
            paused: 0.0,
            steps: 0,
            tokens: 0,
        }
    }

    /// Returns the seconds of training since the last call.
    pub(super) fn take(&mut self) -> f64 {
        let seconds = self.since.elapsed().as_secs_f64() - self.paused;
        self.since = Instant::now();
        self.paused = 0.0;
        seconds
    }
}
