//! The plan of a step: a pure function of configuration and step.

use rondo_model::depth::Draw;
use rondo_schedule::{Run, Schedule, ScheduleConfig};

use crate::config::ResolvedConfig;
use crate::perturb::Perturbation;

/// The plan of one optimizer step, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepPlan {
    /// The number of the step.
    pub step: u64,
    /// The learning rate of the step.
    pub lr: f64,
    /// The drawn recurrence depth and backprop depth of the step.
    pub draw: Draw,
    /// Whether the metrics of the step are read and logged.
    pub logged: bool,
    /// Whether an evaluation follows the step.
    pub evaluated: bool,
    /// Whether a checkpoint is saved after the step.
    pub saved: bool,
}

impl StepPlan {
    /// Plans the step with number `step`, counted from 1.
    pub fn new(config: &ResolvedConfig, step: u64) -> Self {
        let run = config.extent();
        let last = step == run.steps;
        let due = |every: u64| last || step.is_multiple_of(every);
        Self {
            step,
            lr: config.rates()(step),
            draw: config.model.recurrence.draw(config.seed, step, run),
            logged: step == 1 || due(config.train.log_every),
            evaluated: due(config.eval.every),
            saved: due(config.checkpoint.every),
        }
    }
}

/// Returns the learning rate as a function of the step: the rate of the schedule times the factors
/// of perturbations.
pub(crate) fn rates(
    schedule: &ScheduleConfig,
    perturbations: &[Perturbation],
    run: Run,
) -> impl Fn(u64) -> f64 {
    let schedule = Schedule::new(schedule, run);
    move |step| {
        let factors = perturbations.iter();
        let factor: f64 = factors.map(|one| one.rate_factor(step)).product();
        schedule.rate(step) * factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn the_first_and_the_last_step_are_logged_and_the_last_is_evaluated_and_saved() {
        let text = "[train]\nsteps = 10\nseq = 8\nlog_every = 4\n[eval]\nevery = 6\n";
        let written = RunConfig::read("test.toml", text, &[]).expect("valid");
        let config = written.resolve_for(16, 8);
        let plans: Vec<StepPlan> = (1..=10).map(|step| StepPlan::new(&config, step)).collect();
        let steps = |keep: fn(&StepPlan) -> bool| {
            plans
                .iter()
                .filter(|plan| keep(plan))
                .map(|plan| plan.step)
                .collect::<Vec<_>>()
        };
        assert_eq!(steps(|plan| plan.logged), [1, 4, 8, 10]);
        assert_eq!(steps(|plan| plan.evaluated), [6, 10]);
        assert_eq!(steps(|plan| plan.saved), [10]);
    }
}
