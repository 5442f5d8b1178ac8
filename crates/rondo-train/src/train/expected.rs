//! The expected costs and duration of a run. The duration is reported at the start if a similar run
//! was measured, otherwise once after the first steps.

use rondo_metrics::names::STEP_SECONDS;
use rondo_metrics::{Record, TimeLeft};

use super::setup::Setting;
use crate::capacity::Capacity;
use crate::config::ResolvedConfig;
use crate::costs::speed::{Speed, expected, find};
use crate::costs::{Costs, Work};
use crate::distributed::World;

/// How many steps after the first record must have been timed before the duration is reported. The
/// first record includes compiling kernels and filling caches.
const TIMED: u64 = 3;
/// No duration is reported if fewer seconds than this remain.
const SHORT: f64 = 10.0;

/// The costs and the speed that are known before the first step.
pub(super) struct Foreseen {
    pub(super) costs: Costs,
    /// The speed of a run with the same steps, if one was measured.
    speed: Option<Speed>,
}

impl Setting<'_> {
    /// Finds the speed of a run with the same steps. `None` on several ranks, for which no speed
    /// can be found.
    pub(super) fn speed(self, world: &World) -> Option<Speed> {
        match world.is_alone() {
            true => find(self.run_dir, self.config, self.listed),
            false => None,
        }
    }

    /// Counts what the steps of the run after `step` cost.
    pub(super) fn foresee(
        self,
        capacity: &Capacity<'_>,
        step: u64,
        speed: Option<Speed>,
    ) -> Foreseen {
        let run = self.run_dir.path();
        Foreseen {
            costs: Costs::after(self.config, step, Some(self.source), capacity, run),
            speed,
        }
    }
}

impl Foreseen {
    /// Formats the costs and, if it is known, the duration.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let duration = self.speed.as_ref();
        let duration = duration.map(|speed| speed.line(&self.costs.work));
        self.costs.lines().into_iter().chain(duration)
    }

    /// Returns an estimator of the duration. `None` if the duration is already known.
    pub(super) fn expected(&self, config: &ResolvedConfig) -> Option<Expected> {
        let work = &self.costs.work;
        let step = config.train.steps.saturating_sub(work.steps);
        self.speed.is_none().then(|| Expected::new(config, step))
    }
}

/// Measures the speed of a run until its duration has been reported.
pub(super) struct Expected {
    config: ResolvedConfig,
    time_left: TimeLeft,
    /// The step of the first record. The following steps are timed.
    first: Option<u64>,
    /// The seconds of the newest evaluation.
    evaluation_seconds: Option<f64>,
}

impl Expected {
    /// Creates the estimator for a run that continues after `step`.
    pub(super) fn new(config: &ResolvedConfig, step: u64) -> Self {
        Self {
            config: config.clone(),
            time_left: TimeLeft::new(step),
            first: None,
            evaluation_seconds: None,
        }
    }

    /// Sets the seconds of the newest evaluation.
    pub(super) fn evaluated_in(&mut self, seconds: f64) {
        self.evaluation_seconds = Some(seconds);
    }

    /// Adds the record of a step. Once enough steps have been timed, returns the line with the
    /// duration of the remaining steps. The line is empty if these steps take only seconds.
    pub(super) fn observe(&mut self, record: &Record) -> Option<String> {
        self.time_left.observe(record);
        record.get(STEP_SECONDS)?;
        let first = *self.first.get_or_insert(record.step);
        if record.step < first + TIMED {
            return None;
        }
        let step_seconds = self.time_left.until(record.step + 1)?;
        let work = Work::after(&self.config, record.step);
        let evaluations = work.evaluations as f64 * self.evaluation_seconds.unwrap_or(0.0);
        if work.steps as f64 * step_seconds + evaluations < SHORT {
            return Some(String::new());
        }
        let why = format!("for {} more steps at this speed", work.steps);
        let evaluation_seconds = self.evaluation_seconds;
        Some(expected(&work, step_seconds, evaluation_seconds, &why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    fn told(steps: u64, evaluation_seconds: f64) -> Vec<Option<String>> {
        let text = format!("[train]\nsteps = {steps}\nseq = 8\n[eval]\nevery = 50\n");
        let config = RunConfig::read("a.toml", &text, &[]).expect("valid");
        let mut expected = Expected::new(&config.resolve_for(16, 8), 0);
        expected.evaluated_in(evaluation_seconds);
        let steps = [(1, 60.0), (3, 0.5), (4, 0.5)];
        let observed = steps.map(|(step, seconds)| {
            let mut record = Record::train(step, 8 * step);
            record.set(STEP_SECONDS, seconds);
            expected.observe(&record.finish())
        });
        observed.into()
    }

    #[test]
    fn the_first_steps_tell_how_long_the_others_take() {
        // The 196 steps take half a second each. Evaluations follow after steps 50, 100, 150 and
        // 200.
        let line =
            "time    about 1m 38s for 196 more steps at this speed, and 8.0s for 4 evaluations";
        assert_eq!(told(200, 2.0), [None, None, Some(line.to_owned())]);
    }

    #[test]
    fn a_run_that_ends_within_seconds_is_not_announced() {
        assert_eq!(told(8, 0.1)[2], Some(String::new()));
    }
}
