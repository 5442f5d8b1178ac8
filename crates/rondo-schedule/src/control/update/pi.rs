//! A proportional–integral rule: νPI (Sohrabi et al. 2024, "On PI controllers for updating Lagrange
//! multipliers in constrained optimization", arXiv 2406.04558, section 4, Algorithm 1).
//!
//! ```text
//! e_t = CE − τ;   ξ_t = ν·ξ_{t−1} + (1 − ν)·e_t;   ξ_0 = 0
//! u_1 = u_0 − κ_i·e_0;   u_{t+1} = clamp(u_t − κ_i·e_t − κ_p·(ξ_t − ξ_{t−1}))
//! ```
//!
//! κ_i is the integral gain, κ_p the proportional gain, ν the controller's smoothing, and u is ln R
//! or R. The authors write the rule for the multiplier, which rises while the constraint is
//! violated. R falls then, so the signs here are minus.
//!
//! The integral term uses the error itself, not its average. Suppose that CE responds to u with the
//! slope g and the time constant T. An integral of the average, which adds a lag of `1 / (1 − ν)`,
//! only settles if `κ·g < (1 − ν) + 1 / T` (Routh's criterion). With larger rates the exponential
//! rule cycles. An integral of the error has no such limit, except from delays. The proportional
//! term already lowers R while CE rises toward τ, and so removes the remaining overshoot.
//!
//! Algorithm 1 stores the sum of all errors. Here each observation changes u (the authors' Lemma
//! 2), and u is clamped after each change. Without bounds the two forms are equal. At a bound, the
//! sum continues to grow, and must fall again before u can move (windup). The clamped u leaves the
//! bound with the first error of the other sign.
//!
//! ξ_0 = 0 is the default of the authors' code: the first step then has only the integral term.
//! Between the bounds this gives `u_t = u_0 − κ_i·Σe − κ_p·ξ_t`, and the first error does not enter
//! the proportional term.

use rondo_config::Report;
use rondo_config::report::positive;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Observation;
use crate::control::controller::finite;

/// `kind = "pi"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProportionalIntegral {
    /// κ_i, per nat of CE − τ and per observation.
    pub integral: f64,
    /// κ_p, per nat of change in the average of CE − τ; with 0 only the integral remains.
    pub proportional: f64,
    /// The quantity u that the rule changes.
    pub scale: Scale,
}

/// The quantity u that a [`ProportionalIntegral`] rule changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// u = ln R: the gains are relative and do not depend on the size of R.
    #[default]
    Log,
    /// u = R, the factor of the density in the loss: the gains are in units of R per nat.
    ///
    /// This is not λ = 1 / R, the multiplier of the Lagrangian: every large R is a λ near 0, so one
    /// noisy error in λ would move R to its upper bound.
    Linear,
}

impl Default for ProportionalIntegral {
    fn default() -> Self {
        Self {
            integral: 0.2,
            proportional: 2.0,
            scale: Scale::default(),
        }
    }
}

impl ProportionalIntegral {
    /// Returns ln R after an observation, not yet clamped to the bounds.
    pub(super) fn moved(&self, log_strength: f64, seen: &Observation) -> f64 {
        // Each product is made finite, so that their sum is never ∞ − ∞.
        let rise = finite(seen.average - seen.average_before);
        let change = finite(self.integral * seen.error) + finite(self.proportional * rise);
        match self.scale {
            Scale::Log => log_strength - change,
            // The logarithm needs a positive R; any R below the lower bound is clamped to it.
            Scale::Linear => (log_strength.exp() - change).max(f64::MIN_POSITIVE).ln(),
        }
    }

    pub(super) fn validate(&self, report: Report<'_>) {
        positive("integral", self.integral, report);
        let proportional = self.proportional;
        if !(proportional.is_finite() && proportional >= 0.0) {
            report(
                "proportional",
                format!("must be a number of at least 0, found {proportional}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an observation with an error, and the averages before and after it.
    fn seen(error: f64, average_before: f64, average: f64) -> Observation {
        Observation {
            error,
            average,
            average_before,
        }
    }

    #[test]
    fn a_change_is_the_error_and_the_rise_of_its_average_by_their_gains() {
        let mut rule = ProportionalIntegral {
            integral: 0.5,
            proportional: 4.0,
            scale: Scale::Log,
        };
        // 0.5·0.2 + 4·(0.05 − 0.03) = 0.18.
        let seen = seen(0.2, 0.03, 0.05);
        assert!((rule.moved(1.0, &seen) - 0.82).abs() < 1e-15);
        rule.scale = Scale::Linear;
        assert!((rule.moved(10.0_f64.ln(), &seen).exp() - 9.82).abs() < 1e-12);
    }

    #[test]
    fn the_proportional_term_turns_back_before_the_target_is_reached() {
        let rule = ProportionalIntegral::default();
        // CE is still below the target, but the average rises quickly: 0.2·(−0.01) + 2·0.01 > 0, so
        // R falls.
        assert!(rule.moved(0.0, &seen(-0.01, -0.05, -0.04)) < 0.0);
        let integral = ProportionalIntegral {
            proportional: 0.0,
            ..rule
        };
        assert!(integral.moved(0.0, &seen(-0.01, -0.05, -0.04)) > 0.0);
    }

    #[test]
    fn a_linear_strength_below_zero_is_the_least_there_is() {
        let rule = ProportionalIntegral {
            scale: Scale::Linear,
            ..ProportionalIntegral::default()
        };
        let moved = rule.moved(0.0, &seen(100.0, 0.0, 0.0));
        assert!(moved.is_finite() && moved < -700.0);
    }
}
