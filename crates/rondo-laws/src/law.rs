//! A law of the loss curve: its form and its constants.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::LawError;
use crate::multi_power::{self, MultiPower};
use crate::schedule::{Schedule, Steps};
use crate::tissue;

/// The largest number of constants of a law.
pub(crate) const MOST_CONSTANTS: usize = 7;

/// The published forms of a law `L = L0 + A·S1^−α − D`, with S1 the summed rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LawKind {
    /// `D = C·S2`, S2 a decaying memory of every drop of the rate: Tissue et al., arXiv 2408.11029.
    Tissue,
    /// `D = B·Σ_k (η_{k−1} − η_k)·G(η_k^−γ·S_k)`: the Multi-Power Law, Luo et al., arXiv 2503.12811.
    MultiPower,
}

impl LawKind {
    /// Every law.
    pub const ALL: [Self; 2] = [Self::Tissue, Self::MultiPower];

    /// Returns the name of the law on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tissue => "tissue",
            Self::MultiPower => "multi-power",
        }
    }

    /// Returns the names of the law's constants, in their order.
    pub fn symbols(self) -> &'static [&'static str] {
        match self {
            Self::Tissue => &["L0", "A", "alpha", "C", "lambda"],
            Self::MultiPower => &["L0", "A", "alpha", "B", "C", "beta", "gamma"],
        }
    }
}

impl fmt::Display for LawKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for LawKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromStr for LawKind {
    type Err = LawError;

    fn from_str(name: &str) -> Result<Self, LawError> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| LawError::Constants {
            law: "of that name",
            problem: format!("expected `tissue` or `multi-power`, found `{name}`"),
        })
    }
}

/// A law with its constants: predicts the loss of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct Law {
    kind: LawKind,
    constants: Vec<f64>,
}

impl Law {
    /// Makes a law from its constants, in the order of [`LawKind::symbols`].
    ///
    /// # Errors
    /// [`LawError::Constants`] for another number of constants, for a constant that is negative or
    /// not finite, and for a `lambda` that is not below 1.
    pub fn new(kind: LawKind, constants: Vec<f64>) -> Result<Self, LawError> {
        let symbols = kind.symbols();
        let wrong = |problem| LawError::Constants {
            law: kind.name(),
            problem,
        };
        if constants.len() != symbols.len() {
            return Err(wrong(format!(
                "expected {} constants ({}), found {}",
                symbols.len(),
                symbols.join(", "),
                constants.len()
            )));
        }
        for (symbol, value) in symbols.iter().zip(&constants) {
            if !(value.is_finite() && *value >= 0.0) {
                return Err(wrong(format!(
                    "{symbol} must be a number at least 0, found {value}"
                )));
            }
            if *symbol == "lambda" && *value >= 1.0 {
                return Err(wrong(format!("lambda must be below 1, found {value}")));
            }
        }
        Ok(Self { kind, constants })
    }

    /// Returns the form of the law.
    pub fn kind(&self) -> LawKind {
        self.kind
    }

    /// Returns the constants in the order of [`LawKind::symbols`].
    pub fn constants(&self) -> &[f64] {
        &self.constants
    }

    /// Returns the loss that the law predicts at each point of a schedule.
    pub fn predict(&self, schedule: &Schedule) -> Vec<f64> {
        let prepared = Prepared::new(self.kind, schedule);
        let values = prepared.evaluate(&self.constants, prepared.points());
        values.into_iter().map(|value| value.loss).collect()
    }

    /// Returns the loss at the last step, and its derivatives with respect to the rates of all
    /// steps.
    pub(crate) fn last(&self, steps: &Steps) -> (f64, Vec<f64>) {
        match self.kind {
            LawKind::Tissue => tissue::last(steps, &self.constants),
            LawKind::MultiPower => multi_power::last(steps, &self.constants),
        }
    }
}

/// A law's value at a step, and its derivatives with respect to the constants.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Value {
    pub(crate) loss: f64,
    /// The derivatives in the order of the constants, followed by zeros.
    pub(crate) slopes: [f64; MOST_CONSTANTS],
}

/// Returns `L0 + A·S1^−α`, and its derivatives with respect to L0, A and α. These are the first
/// three constants of each law.
pub(crate) fn power_term(constants: &[f64], sum: f64) -> Value {
    let (floor, scale, exponent) = (constants[0], constants[1], constants[2]);
    let power = sum.powf(-exponent);
    let mut value = Value {
        loss: floor + scale * power,
        ..Value::default()
    };
    value.slopes[..3].copy_from_slice(&[1.0, power, -scale * power * sum.ln()]);
    value
}

/// The parts of a schedule that a law needs and that do not depend on its constants.
#[derive(Clone, Debug)]
pub(crate) enum Prepared {
    Tissue(Steps),
    MultiPower(MultiPower),
}

impl Prepared {
    pub(crate) fn new(kind: LawKind, schedule: &Schedule) -> Self {
        let steps = Steps::of(schedule);
        match kind {
            LawKind::Tissue => Self::Tissue(steps),
            LawKind::MultiPower => Self::MultiPower(MultiPower::new(steps)),
        }
    }

    pub(crate) fn steps(&self) -> &Steps {
        match self {
            Self::Tissue(steps) => steps,
            Self::MultiPower(sums) => &sums.steps,
        }
    }

    /// Returns the indices of the schedule's points among its steps.
    pub(crate) fn points(&self) -> &[usize] {
        &self.steps().logged
    }

    /// Returns the law's values at the step indices `places`, which must ascend.
    pub(crate) fn evaluate(&self, constants: &[f64], places: &[usize]) -> Vec<Value> {
        match self {
            Self::Tissue(steps) => tissue::evaluate(steps, constants, places),
            Self::MultiPower(sums) => sums.evaluate(constants, places),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Constants like those fitted to the published curves of the smallest model.
    pub(crate) const TISSUE: [f64; 5] = [3.16, 0.52, 0.51, 0.6, 0.998];
    /// The published constants of the smallest model.
    pub(crate) const MULTI_POWER: [f64; 7] = [3.04, 0.525, 0.508, 363.788, 2.066, 0.583, 0.641];

    /// Checks every slope against differences of values.
    pub(crate) fn check_slopes(prepared: &Prepared, constants: &[f64]) {
        let places = prepared.points();
        let values = prepared.evaluate(constants, places);
        for index in 0..constants.len() {
            let moved = |share: f64| {
                let mut moved = constants.to_vec();
                moved[index] *= 1.0 + share;
                prepared.evaluate(&moved, places)
            };
            let h = 2e-6;
            let (above, below) = (moved(h), moved(-h));
            for (place, value) in values.iter().enumerate() {
                let rise = above[place].loss - below[place].loss;
                let slope = rise / (2.0 * h * constants[index]);
                let error = (value.slopes[index] - slope).abs() * constants[index];
                assert!(error < 1e-8, "constant {index}, point {place}: {error:e}");
            }
        }
    }

    #[test]
    fn a_law_is_found_by_its_name_alone() {
        for kind in LawKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let error = "power".parse::<LawKind>().expect_err("a refusal");
        assert!(error.to_string().ends_with("found `power`"));
    }

    #[test]
    fn constants_without_a_meaning_are_refused() {
        let refused = |constants: &[f64]| {
            let error = Law::new(LawKind::Tissue, constants.to_vec()).expect_err("a refusal");
            error.to_string()
        };
        assert!(refused(&[3.0]).ends_with("5 constants (L0, A, alpha, C, lambda), found 1"));
        assert!(refused(&[3.0, f64::NAN, 0.5, 1.0, 0.9]).contains("A must be a number"));
        assert!(refused(&[3.0, 1.0, 0.5, 1.0, 1.0]).ends_with("below 1, found 1"));
    }
}
