//! Decides which updates to skip: those with numbers that are not finite, and those at a spike of
//! the loss.
//!
//! A spike is a loss above `mean + deviations·σ` of the losses of the last `window` updates;
//! skipped updates do not count. The number of skips in a row has a bound. Beyond it, a loss that
//! is not finite ends the run. A spike beyond it counts as the new level: its update is made, and
//! the window starts anew.

use std::collections::VecDeque;

use rondo_config::Report;
use rondo_config::report::{positive, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::StepPlan;

/// `train.nonfinite`: reaction to a loss or a gradient that is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NonfiniteRule {
    /// The run ends before the update.
    Stop {},
    /// The update is skipped, and the run continues.
    Skip {
        /// Maximum number of updates skipped in a row; one more ends the run.
        #[serde(default = "in_a_row")]
        in_a_row: u64,
    },
}

/// `train.skip_spikes`: skips the updates at spikes of the loss. Costs a device read for each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpikeRule {
    /// Number of standard deviations above the mean.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub deviations: f64,
    /// Number of losses for mean and deviation; before there are that many, nothing is a spike.
    #[schemars(range(min = 2, max = LONGEST))]
    pub window: usize,
    /// Maximum number of spikes skipped in a row; the update of the next one is made.
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
    /// Reports a bound of 0, which would mean `stop`.
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

/// The longest window that is allowed.
const LONGEST: usize = 4096;

/// The part of the guard that a checkpoint keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardState {
    /// Number of updates that were skipped in the whole run.
    pub skipped: u64,
    /// Number of consecutive steps without an update, up to the last step.
    in_a_row: u64,
    /// Losses of the last updates, the newest at the end; empty unless spikes are skipped.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    losses: VecDeque<f64>,
}

/// An update that was skipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skipped {
    /// The step.
    pub step: u64,
    /// Its loss, nats.
    pub loss: f64,
    /// Its global gradient norm.
    pub grad_norm: f64,
    /// The limit that a spike exceeded; `None` if a number is not finite.
    pub limit: Option<f64>,
}

/// Judges updates by their loss and gradient norm.
#[derive(Clone, Debug)]
pub struct Guard {
    nonfinite: NonfiniteRule,
    spikes: Option<SpikeRule>,
    state: GuardState,
}

impl Guard {
    /// Applies the rules of a run, starting from a fresh state or that of a checkpoint.
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

    /// Returns whether a step's loss must be known before its update.
    pub fn looks_first(&self) -> bool {
        self.spikes.is_some()
    }

    /// Judges a step. Returns the skipped update, or `None` if the update is to be made.
    ///
    /// # Errors
    ///
    /// When a number is not finite and the rule is to stop, or too many updates in a row would be
    /// skipped.
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

    /// Returns the loss above which there is a spike, or `None` while the window is not full.
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
