//! Which updates are not made: those of numbers that are not finite, and those of a spike of the loss.
//!
//! A spike is a loss above `mean + deviations·σ` of the losses of the last `window` updates; what is skipped is
//! not among them. After so many skips in a row that a bound is reached, a loss that is not finite ends the run, and a
//! spike is taken for the new level: the update is made and the window begins again.

use std::collections::VecDeque;

use rondo_config::Report;
use rondo_config::report::{positive, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::StepPlan;

/// `train.nonfinite`: what is done about a loss or a gradient that is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum NonfiniteRule {
    /// The run ends before the update.
    Stop {},
    /// The update is not made, and the run goes on.
    Skip {
        /// The run ends where more updates in a row would not be made.
        #[serde(default = "in_a_row")]
        in_a_row: u64,
    },
}

/// `train.skip_spikes`: updates of spikes are not made. Costs a device read for each step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpikeRule {
    /// Standard deviations above the mean.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub deviations: f64,
    /// Losses that mean and deviation are of; there is no spike before they are there.
    #[schemars(range(min = 2, max = LONGEST))]
    pub window: usize,
    /// Where more would be skipped in a row the update is made.
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
    /// Reports a bound of 0, which is `stop`.
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
    /// Reports what is out of range.
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

/// The longest window.
const LONGEST: usize = 4096;

/// What a checkpoint keeps of the guard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardState {
    /// Updates that were not made, in the whole run.
    pub skipped: u64,
    /// The last steps without an update.
    in_a_row: u64,
    /// Losses of the last updates, the newest at the end; kept where spikes are skipped.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    losses: VecDeque<f64>,
}

/// An update that was not made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Skipped {
    /// The step.
    pub step: u64,
    /// Its loss, nats.
    pub loss: f64,
    /// Its global gradient norm.
    pub grad_norm: f64,
    /// What a spike exceeded; none where a number is not finite.
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
    /// Starts with the rules of a run, or goes on from its state.
    pub fn new(nonfinite: NonfiniteRule, spikes: Option<SpikeRule>, state: GuardState) -> Self {
        Self {
            nonfinite,
            spikes,
            state,
        }
    }

    /// Returns what a checkpoint needs.
    pub fn state(&self) -> &GuardState {
        &self.state
    }

    /// Returns whether a step's loss must be known before its update.
    pub fn looks_first(&self) -> bool {
        self.spikes.is_some()
    }

    /// Judges a step; returns why its update must not be made.
    ///
    /// # Errors
    ///
    /// Where a number is not finite and the rule is to stop, or too many updates in a row would be left out.
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

    /// Returns the loss above which there is a spike, where the window is full.
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
            "; {in_a_row} updates before it were left out already (train.nonfinite.in_a_row)"
        ),
    };
    Error::Nonfinite(format!(
        "step {step}: {quantity} at recurrence {} (n = {}, k = {}) and learning rate {lr:.3e}{before}; \
         the weights of step {} are unchanged: go on with --resume RUN and a lower schedule.peak or train.clip",
        depth.total(),
        depth.no_grad,
        depth.with_grad,
        step - 1,
    ))
}

#[cfg(test)]
mod tests;
