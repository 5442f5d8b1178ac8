//! How u = ln R follows the constraint C, the moving average of CE − τ.

use serde::{Deserialize, Serialize};

use crate::config::positive;

/// The rule of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Update {
    /// R changes by the factor `exp(−κ·C)` (SPARTAN).
    Exponential(Exponential),
    /// R changes by the factor `1 / exp(κ·C)`, the exponential clamped (GECO).
    Clamped(Clamped),
}

/// `kind = "exponential"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exponential {
    /// κ while C is below 0 and R rises.
    pub rate_up: f64,
    /// κ while C is above 0 and R falls.
    pub rate_down: f64,
}

/// `kind = "clamped"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Clamped {
    /// κ while C is below 0 and R rises.
    pub rate_up: f64,
    /// κ while C is above 0 and R falls.
    pub rate_down: f64,
    /// The least `exp(κ·C)`: R rises by its inverse at most.
    pub min_factor: f64,
    /// The largest `exp(κ·C)`: R falls by its inverse at most.
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
    /// Returns the change of u for a constraint.
    pub(crate) fn change(&self, constraint: f64) -> f64 {
        let (up, down) = self.rates();
        let rate = if constraint < 0.0 { up } else { down };
        match self {
            Self::Exponential(_) => -rate * constraint,
            Self::Clamped(clamped) => {
                let (low, high) = (clamped.min_factor.ln(), clamped.max_factor.ln());
                -(rate * constraint).max(low).min(high)
            }
        }
    }

    fn rates(&self) -> (f64, f64) {
        match self {
            Self::Exponential(Exponential { rate_up, rate_down })
            | Self::Clamped(Clamped {
                rate_up, rate_down, ..
            }) => (*rate_up, *rate_down),
        }
    }

    /// Reports every violation by its key.
    pub(crate) fn validate(&self, report: &mut dyn FnMut(&str, String)) {
        let (up, down) = self.rates();
        positive("rate_up", up, report);
        positive("rate_down", down, report);
        if let Self::Clamped(clamped) = self {
            let (low, high) = (clamped.min_factor, clamped.max_factor);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn down_is_faster_than_up() {
        let update = Update::default();
        assert!((update.change(-0.1) - 0.1).abs() < 1e-15);
        assert!((update.change(0.1) + 0.5).abs() < 1e-15);
        assert!(update.change(0.0).abs() < f64::EPSILON);
    }

    #[test]
    fn the_clamped_form_changes_by_five_and_ten_percent_at_most() {
        let update = Update::Clamped(Clamped::default());
        assert!((update.change(-0.01) - 0.01).abs() < 1e-15);
        assert!((update.change(-9.0).exp() - 1.0 / 0.9).abs() < 1e-12);
        assert!((update.change(9.0).exp() - 1.0 / 1.05).abs() < 1e-12);
    }
}
