//! Measures the time since the start of a run, and the training time between two logged steps
//! without evaluations and saves.

use std::time::Instant;

use rondo_metrics::format::duration;

/// Measures time and work since the last logged step, and the time since the start of the run.
pub(super) struct Clock {
    started: Instant,
    /// The seconds that earlier launches of the run have recorded.
    before: f64,
    since: Instant,
    paused: f64,
    steps: u64,
    tokens: u64,
}

/// The time and work of the training between two logged steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lap {
    seconds: f64,
    steps: u64,
    tokens: u64,
}

impl Clock {
    /// Creates a clock that starts now, in a run that has already lasted `before` seconds.
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

    /// Returns the seconds since the start of the run: the seconds of this launch, measured by a
    /// monotonic clock, plus the seconds that earlier launches have recorded.
    pub(super) fn run_seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Returns the time since the start of this launch, formatted.
    pub(super) fn launch_duration(&self) -> String {
        duration(self.started.elapsed().as_secs_f64())
    }

    /// Excludes the time from `started` until now from the training time.
    pub(super) fn pause(&mut self, started: Instant) {
        self.paused += started.elapsed().as_secs_f64();
    }

    /// Counts a step that has `tokens` tokens.
    pub(super) fn count(&mut self, tokens: u64) {
        self.steps += 1;
        self.tokens += tokens;
    }

    /// Returns the time and work of the training since the last call.
    pub(super) fn lap(&mut self) -> Lap {
        let lap = Lap {
            seconds: self.since.elapsed().as_secs_f64() - self.paused,
            steps: self.steps,
            tokens: self.tokens,
        };
        self.since = Instant::now();
        (self.paused, self.steps, self.tokens) = (0.0, 0, 0);
        lap
    }
}

impl Lap {
    /// Returns the tokens per second.
    pub(super) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// Returns the mean seconds per step.
    pub(super) fn step_seconds(&self) -> f64 {
        self.seconds / self.steps.max(1) as f64
    }
}
