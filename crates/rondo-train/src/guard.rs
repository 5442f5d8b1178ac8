//! Decides which updates to skip: those whose numbers are not finite, and those at a spike of the
//! loss.
//!
//! A loss is a spike if it is above `mean + deviations·σ`. The mean and the standard deviation σ
//! are those of the losses of the last `window` updates; skipped updates are left out. The number
//! of updates skipped in a row is limited. If the limit is reached, a further loss that is not
//! finite ends the run. A further spike is accepted as the new level: its update is made, and the
//! window starts again with its loss.

use std::collections::VecDeque;

use rondo_config::Report;
use rondo_config::report::{positive, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::StepPlan;

/// `train.nonfinite`: what happens when a loss or a gradient is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NonfiniteRule {
    /// The run ends before the update.
    Stop {},
    /// The update is skipped, and the run continues.
    Skip {
        /// The maximum number of updates skipped in a row. One more ends the run.
        #[serde(default = "in_a_row")]
        in_a_row: u64,
    },
}

/// `train.skip_spikes`: skips the updates at spikes of the loss. Values are read from the device in
/// each step, which costs time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpikeRule {
    /// A loss is a spike if it is above the mean by more than this many standard deviations.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub deviations: f64,
    /// The number of losses for mean and deviation. Until there are that many, no loss is a spike.
    #[schemars(range(min = 2, max = LONGEST))]
    pub window: usize,
    /// The maximum number of spikes skipped in a row. At the next spike, the update is made.
    #[schemars(range(min = 1))]
    pub in_a_row: u64,
}

fn in_a_row() -> u64 {
    8
}

impl Default for SpikeRule {
    fn default() -> Self {
        Self {
            deviations: 6.0,
            window: 128,
            in_a_row: in_a_row(),
        }
    }
}

impl NonfiniteRule {
    /// Reports `in_a_row = 0`, which would have the meaning of `stop`.
    pub fn validate(&self, report: Report<'_>) {
        if let Self::Skip { in_a_row: 0 } = self {
            report(
                "in_a_row",
                "must be at least 1; 0 is kind = \"stop\"".to_owned(),
            );
        }
    }
}

impl SpikeRule {
    /// Reports values that are out of range.
    pub fn validate(&self, report: Report<'_>) {
        positive("deviations", self.deviations, report);
        within("window", self.window, 2..=LONGEST, report);
        if self.in_a_row == 0 {
            report(
                "in_a_row",
                "must be at least 1; leave skip_spikes out to skip none".to_owned(),
            );
        }
    }
}

/// The maximum `window`.
const LONGEST: usize = 4096;

/// The state of the guard that a checkpoint contains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardState {
    /// The number of updates skipped in the whole run.
    pub skipped: u64,
    /// The number of steps in a row, up to the last step, whose updates were skipped.
    in_a_row: u64,
    /// The losses of the last updates, the newest at the end. Empty unless the run has a rule for
    /// spikes.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    losses: VecDeque<f64>,
}

/// An update that was skipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skipped {
    /// The step of the update.
    pub step: u64,
    /// The loss of the step, in nats.
    pub loss: f64,
    /// The global gradient norm of the step.
    pub grad_norm: f64,
    /// The limit that the loss exceeded. `None` if loss or gradient norm is not finite.
    pub limit: Option<f64>,
}

/// Decides from loss and gradient norm whether an update is made.
#[derive(Clone, Debug)]
pub struct Guard {
    nonfinite: NonfiniteRule,
    spikes: Option<SpikeRule>,
    state: GuardState,
}

impl Guard {
    /// Creates the guard for the rules of a run. `state` is fresh, or comes from a checkpoint.
    pub fn new(nonfinite: NonfiniteRule, spikes: Option<SpikeRule>, state: GuardState) -> Self {
        Self {
            nonfinite,
            spikes,
            state,
        }
    }

    /// Returns the state for a checkpoint.
    pub fn state(&self) -> &GuardState {
        &self.state
    }

    /// Returns whether the loss of a step must be known before its update.
    pub fn looks_first(&self) -> bool {
        self.spikes.is_some()
    }

    /// Judges a step. Returns the skipped update, or `None` if the update must be made.
    ///
    /// # Errors
    ///
    /// When a number is not finite and the rule is to stop, or the maximum number of updates in a
    /// row was already skipped.
    pub fn judge(&mut self, plan: &StepPlan, loss: f64, grad_norm: f64) -> Result<Option<Skipped>> {
        let skipped = |limit| Skipped {
            step: plan.step,
            loss,
            grad_norm,
            limit,
        };
        if !(loss.is_finite() && grad_norm.is_finite()) {
            match self.nonfinite {
                NonfiniteRule::Skip { in_a_row } if self.state.in_a_row < in_a_row => {}
                rule => return Err(not_finite(plan, loss, grad_norm, rule)),
            }
            self.skip();
            return Ok(Some(skipped(None)));
        }
        if let Some(rule) = self.spikes {
            let limit = self.limit(rule).filter(|limit| loss > *limit);
            if limit.is_some() && self.state.in_a_row < rule.in_a_row {
                self.skip();
                return Ok(Some(skipped(limit)));
            }
            let losses = &mut self.state.losses;
            if limit.is_some() {
                losses.clear();
            }
            losses.push_back(loss);
            let beyond = losses.len().saturating_sub(rule.window);
            losses.drain(..beyond);
        }
        self.state.in_a_row = 0;
        Ok(None)
    }

    fn skip(&mut self) {
        self.state.skipped += 1;
        self.state.in_a_row += 1;
    }

    /// Returns the loss above which there is a spike. `None` while there are too few losses.
    fn limit(&self, rule: SpikeRule) -> Option<f64> {
        let losses = &self.state.losses;
        if losses.len() < rule.window {
            return None;
        }
        let count = losses.len() as f64;
        let mean = losses.iter().sum::<f64>() / count;
        let squares: f64 = losses.iter().map(|loss| (loss - mean).powi(2)).sum();
        Some(mean + rule.deviations * (squares / count).sqrt())
    }
}

fn not_finite(plan: &StepPlan, loss: f64, norm: f64, rule: NonfiniteRule) -> Error {
    let quantity = match loss.is_finite() {
        false => format!("the loss is {loss}"),
        true => format!("the gradient norm is {norm}"),
    };
    let (step, lr, depth) = (plan.step, plan.lr, plan.draw.unroll);
    let before = match rule {
        NonfiniteRule::Stop {} => String::new(),
        NonfiniteRule::Skip { in_a_row } => format!(
            "; {in_a_row} updates before it were skipped already (train.nonfinite.in_a_row)"
        ),
    };
    Error::Nonfinite(format!(
        "step {step}: {quantity} at recurrence {} (n = {}, k = {}) and learning rate {lr:.3e}{before}; \
         the weights of step {} are unchanged: continue with --resume RUN and a lower schedule.peak or train.clip",
        depth.total(),
        depth.no_grad,
        depth.with_grad,
        step - 1,
    ))
}

#[cfg(test)]
mod tests;
