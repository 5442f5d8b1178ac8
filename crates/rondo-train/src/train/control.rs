//! The controller that adjusts the penalty of the gates during a run.

use rondo_metrics::{Record, RecordError};
use rondo_schedule::control::{
    Constraint, ControlConfig, Controller, ControllerReading, ControllerState,
};

use crate::error::{Error, Result};
use crate::run_history::RunHistory;

/// The controller of a run, with its newest values.
pub(super) struct Control {
    config: ControlConfig,
    controller: Controller,
    /// The strength of the penalty in the newest step, and the target and the moving average after
    /// that step.
    reading: ControllerReading,
}

/// A target for the cross entropy that the run misses even with the weakest penalty.
pub(super) struct Missed {
    target: f64,
    above: f64,
}

impl Missed {
    /// Adds the missed target to the record of its event.
    ///
    /// # Errors
    ///
    /// Never: all names are different.
    pub(super) fn describe(&self, event: &mut Record) -> Result<(), RecordError> {
        event
            .push("target", self.target)?
            .push("above", self.above)?;
        Ok(())
    }
}

impl Control {
    /// Creates the controller of a new run. With `state`, resumes the controller that has this
    /// state.
    ///
    /// # Errors
    ///
    /// When the target is the loss of another run that has no evaluation, or `state` is damaged.
    pub(super) fn open(
        config: &ControlConfig,
        step: u64,
        state: Option<ControllerState>,
    ) -> Result<Self> {
        let controller = match state {
            Some(state) => Controller::resume(config.clone(), state)
                .map_err(|error| Error::Foreign(error.to_string()))?,
            None => {
                let dense = config.target.dense_run().map(RunHistory::validation_loss);
                Controller::new(config.clone(), dense.transpose()?)
                    .map_err(|error| Error::Usage(format!("controller: {error}")))?
            }
        };
        Ok(Self {
            config: config.clone(),
            reading: controller.reading(step),
            controller,
        })
    }

    /// Returns the factor of the gates' density in the loss of step `step`.
    pub(super) fn strength(&mut self, step: u64) -> f64 {
        self.reading = self.controller.reading(step);
        self.reading.strength
    }

    /// Passes the cross entropy after `step` to the controller, if `constraint` is the kind of
    /// cross entropy that the controller uses. Returns the missed target if the controller has just
    /// given up.
    pub(super) fn observe(
        &mut self,
        constraint: Constraint,
        step: u64,
        cross_entropy: f64,
    ) -> Option<Missed> {
        if constraint != self.config.constraint {
            return None;
        }
        let after = self.controller.observe(step, cross_entropy);
        let before = self.reading.strength;
        self.reading = ControllerReading {
            strength: before,
            ..after
        };
        if !self.controller.gives_up() {
            return None;
        }
        let (target, above) = self.reading.target.zip(self.reading.constraint_ema)?;
        Some(Missed { target, above })
    }

    /// Returns the strength of the penalty in the newest step, and the target and the moving
    /// average after that step.
    pub(super) fn reading(&self) -> ControllerReading {
        self.reading
    }

    /// Returns the state of the controller for a checkpoint.
    pub(super) fn state(&self) -> ControllerState {
        self.controller.state().clone()
    }
}

#[cfg(test)]
mod tests;
