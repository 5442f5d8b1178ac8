//! What a training step differentiates: cross entropies (CE) of its readouts and a penalty on the loop's last state.
//!
//! ```text
//! (1 − w) Σ_i a_i CE_i + w P        Σ a_i = 1
//! ```
//!
//! `depths` says which iterations i have a readout of their own and what they weigh, `penalty` what P and w are. The recorded loss is CE of the
//! last readout, whatever else is differentiated, and evaluations know nothing of it.

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
    /// Returns what `step` computes beside its iterations and its last readout.
    pub fn beside(&self, unroll: Unroll, step: u64) -> Beside {
        Beside {
            readouts: self.loss.terms(unroll).len() - 1,
            iterations: match &self.penalty {
                Some(penalty) if penalty.weight_at(step) > 0.0 => penalty.iterations(),
                _ => 0,
            },
        }
    }

    /// Returns the number of the step that comes `step` steps after the warm-up of a penalty: one that takes its whole time.
    pub fn past_warmup(&self, step: u64) -> u64 {
        step + self.penalty.as_ref().map_or(0, PenaltyConfig::warmup)
    }

    /// Returns the most that a step of that shape computes beside them.
    pub fn most_beside(&self, unroll: Unroll) -> Beside {
        self.beside(unroll, u64::MAX)
    }
}

impl RunConfig {
    /// Reports every violation below `[train]`.
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

    /// Returns a sentence for each key of the objective that does not mean what it seems to, the key first.
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
