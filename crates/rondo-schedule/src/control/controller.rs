//! The controller: turns observed cross entropies into strengths.

use serde::{Deserialize, Serialize};

use crate::control::config::ControlConfig;
use crate::control::update::Observation;

/// Why a controller could not be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ControlError {
    /// The configuration is out of range.
    #[error("{key}: {message}")]
    Config {
        /// The key, relative to the controller's section.
        key: String,
        /// What is wrong.
        message: String,
    },
    /// The target needs the loss of another run, and none was given.
    #[error(
        "the target wants the dense loss of another run: name one, or use target.loss.kind = \"warm-up\""
    )]
    DenseLossMissing,
    /// The loss of the other run is not a finite number.
    #[error("the dense loss must be a number, found {0}")]
    DenseLoss(f64),
    /// A saved state has an invalid number.
    #[error("the controller's state is damaged: {field} is {value}")]
    State {
        /// The name of the number.
        field: &'static str,
        /// The value of the number.
        value: f64,
    },
}

/// The part of a controller that changes over a run. A checkpoint stores all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerState {
    /// u = ln R.
    pub log_strength: f64,
    /// C, the moving average of CE − τ (called ξ in νPI). `None` until the first finite observation
    /// that has a target; so it stays `None` through the whole warm-up.
    pub constraint_ema: Option<f64>,
    /// The target τ; `None` until the warm-up has ended.
    pub target: Option<f64>,
    /// The losses of the warm-up so far; empty after the warm-up.
    pub warm_up: Vec<f64>,
    /// The number of consecutive observations, up to the newest one, that each left R at its lower
    /// bound while C was above 0.
    pub at_lower_bound: u64,
}

/// The reading of a controller after an observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControllerReading {
    /// The strength R in the loss `CE + R · density` of the next step; 0 before the controller
    /// acts.
    pub strength: f64,
    /// C; `None` until the first finite observation that has a target.
    pub constraint_ema: Option<f64>,
    /// τ; `None` until the warm-up has ended.
    pub target: Option<f64>,
    /// Whether the observation was ignored because it was not finite.
    pub ignored: bool,
}

/// Adapts the strength of a penalty.
#[derive(Clone, Debug)]
pub struct Controller {
    config: ControlConfig,
    state: ControllerState,
}

impl Controller {
    /// Starts a controller. `dense_loss` is the loss without the penalty; only some targets need
    /// it.
    ///
    /// # Errors
    ///
    /// If the configuration is out of range, or if the target needs the dense loss and it is
    /// missing or not finite.
    pub fn new(config: ControlConfig, dense_loss: Option<f64>) -> Result<Self, ControlError> {
        check(&config)?;
        if config.target.dense_run().is_some() {
            let loss = dense_loss.ok_or(ControlError::DenseLossMissing)?;
            if !loss.is_finite() {
                return Err(ControlError::DenseLoss(loss));
            }
        }
        let state = ControllerState {
            log_strength: config.initial_strength.ln(),
            constraint_ema: None,
            target: config.target.at_start(dense_loss).map(finite),
            warm_up: Vec::new(),
            at_lower_bound: 0,
        };
        Ok(Self { config, state })
    }

    /// Resumes from a saved state. A strength outside the bounds is moved to the nearest bound.
    ///
    /// # Errors
    ///
    /// If the configuration is out of range, or if a number of the state is not finite.
    pub fn resume(config: ControlConfig, mut state: ControllerState) -> Result<Self, ControlError> {
        check(&config)?;
        let numbers = [
            ("log_strength", Some(state.log_strength)),
            ("constraint_ema", state.constraint_ema),
            ("target", state.target),
        ];
        let losses = state.warm_up.iter().map(|&loss| ("warm_up", Some(loss)));
        for (field, value) in numbers.into_iter().chain(losses) {
            if let Some(value) = value.filter(|value| !value.is_finite()) {
                return Err(ControlError::State { field, value });
            }
        }
        let (low, high) = log_bounds(&config);
        state.log_strength = state.log_strength.clamp(low, high);
        Ok(Self { config, state })
    }

    /// Returns the state for a checkpoint.
    pub fn state(&self) -> &ControllerState {
        &self.state
    }

    /// Takes the cross entropy of a step, counted from 1, and adapts the strength.
    ///
    /// The first observed error CE − τ is the first value of the moving average C. For
    /// [`Update::Pi`](crate::control::Update::Pi) the first value is 0 instead. A cross entropy
    /// that is not finite changes nothing, and the reading marks it as ignored.
    pub fn observe(&mut self, step: u64, cross_entropy: f64) -> ControllerReading {
        let ignored = !cross_entropy.is_finite();
        match self.state.target {
            _ if ignored => {}
            Some(target) => self.follow(step, finite(cross_entropy - target)),
            None => self.warm_up(cross_entropy),
        }
        ControllerReading {
            ignored,
            ..self.reading(step + 1)
        }
    }

    /// Returns the strength R for the loss of `step`. It is 0 in the warm-up and before
    /// `start_step`.
    pub fn strength(&self, step: u64) -> f64 {
        if step < self.config.start_step || self.state.target.is_none() {
            return 0.0;
        }
        // At a bound, returns the configured number itself: the exponential of its logarithm may be
        // rounded.
        let (low, high) = log_bounds(&self.config);
        match self.state.log_strength {
            u if u <= low => self.config.min_strength,
            u if u >= high => self.config.max_strength,
            u => u.exp(),
        }
    }

    /// Returns the current state as a reading, with the strength for the loss of `step`.
    pub fn reading(&self, step: u64) -> ControllerReading {
        ControllerReading {
            strength: self.strength(step),
            constraint_ema: self.state.constraint_ema,
            target: self.state.target,
            ignored: false,
        }
    }

    /// Returns whether the controller has just run out of patience: exactly `patience` consecutive
    /// observations left R at its lower bound while C was above 0.
    pub fn gives_up(&self) -> bool {
        self.state.at_lower_bound == self.config.patience
    }

    fn warm_up(&mut self, cross_entropy: f64) {
        self.state.warm_up.push(cross_entropy);
        let target = self.config.target.after_warm_up(&self.state.warm_up);
        if let Some(target) = target {
            self.state.target = Some(finite(target));
            self.state.warm_up = Vec::new();
        }
    }

    fn follow(&mut self, step: u64, constraint: f64) {
        let state = &mut self.state;
        let update = &self.config.update;
        let alpha = self.config.smoothing;
        let smooth = |before: f64| finite(alpha * before + (1.0 - alpha) * constraint);
        let before = state.constraint_ema;
        let average = before.map_or_else(|| update.first_average(constraint), smooth);
        state.constraint_ema = Some(average);
        if step < self.config.start_step {
            return;
        }
        let seen = Observation {
            error: constraint,
            average,
            average_before: before.unwrap_or(average),
        };
        let (low, high) = log_bounds(&self.config);
        let moved = update.moved(state.log_strength, &seen);
        state.log_strength = moved.clamp(low, high);
        state.at_lower_bound = match state.log_strength <= low && average > 0.0 {
            true => state.at_lower_bound + 1,
            false => 0,
        };
    }
}

/// Returns the first violation of the configuration as an error.
fn check(config: &ControlConfig) -> Result<(), ControlError> {
    let mut first = Ok(());
    config.validate(&mut |key, message| {
        if first.is_ok() {
            let key = key.to_owned();
            first = Err(ControlError::Config { key, message });
        }
    });
    first
}

/// Returns the bounds of u.
fn log_bounds(config: &ControlConfig) -> (f64, f64) {
    (config.min_strength.ln(), config.max_strength.ln())
}

/// Clamps an infinite number to the largest finite one.
pub(crate) fn finite(x: f64) -> f64 {
    x.clamp(f64::MIN, f64::MAX)
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod plant;
#[cfg(test)]
mod tests;
