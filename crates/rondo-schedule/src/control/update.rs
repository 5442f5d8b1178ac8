//! How u = ln R changes with the error CE − τ and its moving average C.

pub mod pi;

use rondo_config::Report;
use rondo_config::report::positive;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use pi::{ProportionalIntegral, Scale};

/// The rule by which an observation changes the strength R.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Update {
    /// R changes by the factor `exp(−κ·C)` (SPARTAN).
    Exponential(Exponential),
    /// R changes by the factor `1 / exp(κ·C)`, the exponential clamped (GECO).
    Clamped(Clamped),
    /// ln R or R changes by `−κ_i·(CE − τ) − κ_p·ΔC` (νPI).
    Pi(ProportionalIntegral),
}

/// The numbers that a rule gets after an observation.
pub(crate) struct Observation {
    /// CE − τ.
    pub(crate) error: f64,
    /// C after the observation.
    pub(crate) average: f64,
    /// C before the observation.
    pub(crate) average_before: f64,
}

/// `kind = "exponential"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Exponential {
    /// κ while C is below 0 and R rises.
    pub rate_up: f64,
    /// κ while C is above 0 and R falls.
    pub rate_down: f64,
}

/// `kind = "clamped"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Clamped {
    /// κ while C is below 0 and R rises.
    pub rate_up: f64,
    /// κ while C is above 0 and R falls.
    pub rate_down: f64,
    /// The smallest value of `exp(κ·C)`: one observation raises R at most by the inverse of this
    /// factor.
    pub min_factor: f64,
    /// The largest value of `exp(κ·C)`: one observation lowers R at most by this factor.
    pub max_factor: f64,
}

impl Default for Update {
    fn default() -> Self {
        Self::Exponential(Exponential::default())
    }
}

impl Default for Exponential {
    fn default() -> Self {
        Self {
            rate_up: 1.0,
            rate_down: 5.0,
        }
    }
}

impl Default for Clamped {
    fn default() -> Self {
        Self {
            rate_up: 1.0,
            rate_down: 1.0,
            min_factor: 0.9,
            max_factor: 1.05,
        }
    }
}

impl Update {
    /// Returns the first value of C, from the first error.
    ///
    /// It is the error itself, except in νPI. There it is 0 (ξ_0 = 0), so the proportional term is
    /// 0 in the first step.
    pub(crate) fn first_average(&self, error: f64) -> f64 {
        match self {
            Self::Exponential(_) | Self::Clamped(_) => error,
            Self::Pi(_) => 0.0,
        }
    }

    /// Returns u after an observation, not yet clamped to the bounds.
    pub(crate) fn moved(&self, log_strength: f64, seen: &Observation) -> f64 {
        match self {
            Self::Exponential(exponential) => log_strength + exponential.change(seen.average),
            Self::Clamped(clamped) => log_strength + clamped.change(seen.average),
            Self::Pi(pi) => pi.moved(log_strength, seen),
        }
    }

    /// Reports every violation, each with its key.
    pub(crate) fn validate(&self, report: Report<'_>) {
        match self {
            Self::Exponential(Exponential { rate_up, rate_down }) => {
                positive("rate_up", *rate_up, report);
                positive("rate_down", *rate_down, report);
            }
            Self::Clamped(clamped) => clamped.validate(report),
            Self::Pi(pi) => pi.validate(report),
        }
    }
}

impl Exponential {
    /// Returns the change of u.
    fn change(&self, average: f64) -> f64 {
        -rate(average, self.rate_up, self.rate_down) * average
    }
}

impl Clamped {
    /// Returns the change of u.
    fn change(&self, average: f64) -> f64 {
        let (low, high) = (self.min_factor.ln(), self.max_factor.ln());
        let rate = rate(average, self.rate_up, self.rate_down);
        -(rate * average).max(low).min(high)
    }

    fn validate(&self, report: Report<'_>) {
        positive("rate_up", self.rate_up, report);
        positive("rate_down", self.rate_down, report);
        let (low, high) = (self.min_factor, self.max_factor);
        if !(low > 0.0 && low < 1.0) {
            report(
                "min_factor",
                format!("must be between 0 and 1, found {low}"),
            );
        }
        if !(high.is_finite() && high > 1.0) {
            report(
                "max_factor",
                format!("must be a number above 1, found {high}"),
            );
        }
    }
}

/// Returns κ for an average below 0 (`up`) or above 0 (`down`).
fn rate(average: f64, up: f64, down: f64) -> f64 {
    if average < 0.0 { up } else { down }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn down_is_faster_than_up() {
        let update = Exponential::default();
        assert!((update.change(-0.1) - 0.1).abs() < 1e-15);
        assert!((update.change(0.1) + 0.5).abs() < 1e-15);
        assert!(update.change(0.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_clamped_form_changes_by_five_and_ten_percent_at_most() {
        let update = Clamped::default();
        assert!((update.change(-0.01) - 0.01).abs() < 1e-15);
        assert!((update.change(-9.0).exp() - 1.0 / 0.9).abs() < 1e-12);
        assert!((update.change(9.0).exp() - 1.0 / 1.05).abs() < 1e-12);
    }
}
