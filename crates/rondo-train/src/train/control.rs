//! The controller of the gates' penalty in a run.

use rondo_metrics::{Record, RecordError};
use rondo_schedule::control::{
    Constraint, ControlConfig, Controller, ControllerReading, ControllerState,
};

use crate::error::{Error, Result};
use crate::run_history::RunHistory;

/// A controller, with its newest reading.
pub(super) struct Control {
    config: ControlConfig,
    controller: Controller,
    /// The strength in the newest step, with target and moving average after that step.
    reading: ControllerReading,
}

/// A target that is missed even with the weakest penalty.
pub(super) struct Missed {
    target: f64,
    above: f64,
}

impl Missed {
    /// Adds the missed target to the record of an event.
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
    /// Starts the controller of a run, or resumes it.
    ///
    /// # Errors
    ///
    /// When its target needs the loss of a run that has none, or its state is damaged.
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

    /// Returns the factor of the density in the loss of a step.
    pub(super) fn strength(&mut self, step: u64) -> f64 {
        self.reading = self.controller.reading(step);
        self.reading.strength
    }

    /// Passes a cross entropy after `step` to the controller, if it is of the kind that the
    /// controller uses. Returns the missed target when patience has just ended.
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

    /// Returns the strength of the newest step, and target and moving average after it.
    pub(super) fn reading(&self) -> ControllerReading {
        self.reading
    }

    /// Returns the state for a checkpoint.
    pub(super) fn state(&self) -> ControllerState {
        self.controller.state().clone()
    }
}

#[cfg(test)]
mod tests;
