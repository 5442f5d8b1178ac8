//! The function that a training step differentiates: cross entropies (CE) of its readouts, and a
//! penalty on the last state of the loop.
//!
//! ```text
//! (1 − w) Σ_i a_i CE_i + w P        Σ a_i = 1
//! ```
//!
//! `depths` defines the iterations i that have their own readout, and their weights a_i. `penalty`
//! defines P and w. The recorded loss is always the CE of the last readout. Evaluations do not use
//! the objective.

mod depths;
mod penalty;

use rondo_config::Report;
use rondo_config::report::section;
use rondo_model::depth::Unroll;
use rondo_model::objective::Beside;

pub use self::depths::{DepthLoss, DepthWeights, Iterations, MeanLoss, Term};
pub(crate) use self::penalty::Place;
pub use self::penalty::{FixedPointPenalty, JacobianPenalty, NormPenalty, PenaltyConfig};
use crate::config::{ResolvedTrain, RunConfig};

impl ResolvedTrain {
    /// Returns the work of step `step` in addition to its iterations and its last readout.
    pub fn beside(&self, unroll: Unroll, step: u64) -> Beside {
        Beside {
            readouts: self.loss.terms(unroll).len() - 1,
            iterations: match &self.penalty {
                Some(penalty) if penalty.weight_at(step) > 0.0 => penalty.iterations(),
                _ => 0,
            },
        }
    }

    /// Returns the number of the step that is `step` steps after the warm-up of the penalty. Such a
    /// step includes the work of the penalty.
    pub fn past_warmup(&self, step: u64) -> u64 {
        step + self.penalty.as_ref().map_or(0, PenaltyConfig::warmup)
    }

    /// Returns the maximum of [`Self::beside`] over all steps with this `unroll`.
    pub fn most_beside(&self, unroll: Unroll) -> Beside {
        self.beside(unroll, u64::MAX)
    }
}

impl RunConfig {
    /// Reports every violation in `[train.loss]` and `[train.penalty]`.
    pub(crate) fn validate_objective(&self, report: Report<'_>) {
        let train = &self.train;
        train
            .loss
            .validate(&self.model.recurrence, &mut section("loss", report));
        if let Some(penalty) = &train.penalty {
            let report = &mut section("penalty", report);
            penalty.validate(report);
            penalty.validate_on(&self.model, self.device.precision, report);
        }
    }

    /// Reports each key of the objective that has no effect, or an unexpected one, in a run of
    /// `steps` steps.
    pub(crate) fn warn_of_objective(&self, steps: u64, report: Report<'_>) {
        let train = &self.train;
        if let Some(penalty) = &train.penalty
            && penalty.warmup() >= steps
            && steps > 0
        {
            report(
                "train.penalty.warmup",
                format!(
                    "the penalty never counts: the run of {steps} steps ends within its warm-up of {}",
                    penalty.warmup()
                ),
            );
        }
        if !train.loss.is_last() && self.model.conditioning.reads_depth() {
            report(
                "train.loss",
                format!(
                    "with model.conditioning = \"{}\" the state after i of r iterations is not that of a pass of i, which \
                     evaluation at depth i reads",
                    self.model.conditioning.name()
                ),
            );
        }
    }
}
