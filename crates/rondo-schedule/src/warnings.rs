//! Warns about parts of a schedule that a run does not reach.
//!
//! These are not errors, because the same configuration may be meant for longer runs. The warning
//! is given before the first step: the losses would not show the problem for a long time.

use rondo_config::Report;
use rondo_config::report::section;

use crate::config::ScheduleConfig;
use crate::length::Run;
use crate::points::Point;
use crate::shape::Shape;

/// The usual warm-up takes one step of this many steps of the run. It is proposed if the configured
/// warm-up is too long.
const USUAL_WARMUP: u64 = 20;

impl ScheduleConfig {
    /// Reports the parts for which `run` is too short, each with its key path below `[schedule]`.
    pub fn warnings(&self, run: Run, report: Report<'_>) {
        let (warmup, steps) = (self.warmup.steps(run), run.steps);
        if steps == 0 {
            return;
        }
        let usual = steps.div_ceil(USUAL_WARMUP);
        if warmup > steps {
            report(
                "warmup",
                format!(
                    "a warm-up of {warmup} steps in a run of {steps} never reaches the peak; try {usual}"
                ),
            );
        } else if warmup == steps {
            report(
                "warmup",
                format!(
                    "the warm-up is the whole run of {steps} steps and reaches the peak with the last one; try {usual}"
                ),
            );
        }
        // If no step follows the warm-up, the shape is not used at all.
        if let Some(left) = steps.checked_sub(warmup).filter(|left| *left > 0) {
            self.shape
                .warnings(run, left, &mut section("shape", report));
        }
    }
}

impl Shape {
    /// Reports the parts for which the `left` steps after the warm-up are too few, each with its
    /// key path below `[schedule.shape]`.
    fn warnings(&self, run: Run, left: u64, report: Report<'_>) {
        let steps = run.steps;
        match self {
            Self::Step { every, .. } if every.steps(run) >= left => report(
                "every",
                format!(
                    "the first {} steps after the warm-up end with the run of {steps} or later: the rate never falls",
                    every.steps(run)
                ),
            ),
            Self::MultiStep { at, .. } => {
                for (index, at) in at.iter().enumerate() {
                    let at = at.steps(run);
                    if at >= steps {
                        report(
                            &format!("at.{index}"),
                            format!(
                                "the rate does not fall after step {at}: the run ends at step {steps}"
                            ),
                        );
                    }
                }
            }
            Self::Trapezoid { cooldown, .. } if cooldown.steps(run) > left => report(
                "cooldown",
                format!(
                    "a cooldown of {} steps is longer than the {left} that follow the warm-up: the rate falls from \
                     the warm-up on, and never stays at the peak",
                    cooldown.steps(run)
                ),
            ),
            Self::Piecewise { points } => {
                let beyond = |Point(at, _): &Point| at.steps(run) > steps;
                if let Some(index) = points.iter().position(beyond) {
                    report(
                        &format!("points.{index}"),
                        format!(
                            "step {} is not reached: the run ends at step {steps}",
                            points[index].0.steps(run)
                        ),
                    );
                }
            }
            Self::Step { .. }
            | Self::Trapezoid { .. }
            | Self::Constant {}
            | Self::Linear {}
            | Self::Cosine {}
            | Self::Polynomial { .. }
            | Self::Exponential {}
            | Self::InverseSqrt {}
            | Self::Cyclic { .. } => {}
        }
    }
}

/// Returns a warning if the rate more than doubles where a run continues. `before` is the trained
/// rate of `step`, the last step before the resume. `after` is the rate of the next step, as it is
/// configured now.
pub fn seam_warning(step: u64, before: f64, after: f64) -> Option<String> {
    let jumps = after > 2.0 * before;
    jumps.then(|| {
        format!(
            "schedule: the learning rate jumps where the run goes on: {before:.3e} at step {step}, {after:.3e} at step \
             {}; a shape over more steps is not where the old one has ended",
            step.saturating_add(1)
        )
    })
}
