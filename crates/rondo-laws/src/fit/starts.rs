//! The starting places of the minimiser. The file lists combinations of the constants in which a
//! law is not linear. For each combination, a least-squares fit of the relative error gives the
//! other three constants, in which the law is linear: L0, A and the scale of the drops. These three
//! are kept positive.

use nalgebra::{DMatrix, DVector};

use super::bounds::{Range, Units};
use super::problem::Fitted;
use crate::law::LawKind;

const ALPHAS: [f64; 3] = [0.25, 0.5, 1.0];
/// The starting values of 1 − λ.
const FORGOTTEN: [f64; 4] = [0.05, 0.01, 2e-3, 4e-4];
/// Starting values of β, of γ, and of C·x for the largest sum at the highest rate (x as in the
/// Multi-Power Law's G). The first triple is near the published fits.
const SHAPES: [(f64, f64, f64); 4] = [
    (0.6, 0.65, 2500.0),
    (0.6, 0.3, 50.0),
    (0.2, 0.65, 5000.0),
    (1.5, 0.5, 50.0),
];
/// The maximum number of points of each curve used to solve for the linear constants.
const POINTS: usize = 48;

/// Returns starting places, as free coordinates of the constants.
pub(super) fn starts(
    kind: LawKind,
    units: Units,
    ranges: &[Range],
    curves: &[Fitted],
) -> Vec<Vec<f64>> {
    let mut starts = Vec::new();
    for alpha in ALPHAS {
        let guesses = match kind {
            LawKind::Tissue => FORGOTTEN.map(|rest| vec![alpha, 1.0, 1.0 - rest]),
            LawKind::MultiPower => SHAPES.map(|(beta, gamma, reach)| {
                let c = reach * units.peak.powf(gamma) / units.sum;
                vec![alpha, 1.0, c, beta, gamma]
            }),
        };
        for guess in guesses {
            let mut constants = vec![0.0, 1.0];
            constants.extend(guess);
            solve_linear(&mut constants, units, curves);
            let pairs = ranges.iter().zip(&constants);
            starts.push(pairs.map(|(range, value)| range.place(*value)).collect());
        }
    }
    starts
}

/// Replaces L0, A and the scale of the drops by their least-squares solution.
fn solve_linear(constants: &mut [f64], units: Units, curves: &[Fitted]) {
    let mut rows = Vec::new();
    for curve in curves {
        let chosen = curve.chosen(POINTS);
        let values = chosen.evaluate(constants);
        for (value, log_loss) in values.iter().zip(chosen.log_losses) {
            let weight = (-log_loss).exp();
            rows.extend([0, 1, 3].map(|index| value.slopes[index] * weight));
        }
    }
    let matrix = DMatrix::from_row_slice(rows.len() / 3, 3, &rows);
    let ones = DVector::from_element(rows.len() / 3, 1.0);
    let solved = matrix.svd(true, true).solve(&ones, 1e-12);
    let usual = [
        0.9 * units.loss,
        0.1 * units.loss,
        0.1 * units.loss / units.peak,
    ];
    for (place, usual) in usual.into_iter().enumerate() {
        let found = solved.as_ref().ok().map(|solved| solved[place]);
        let index = [0, 1, 3][place];
        constants[index] = found.filter(|value| *value > 0.0).unwrap_or(usual);
    }
}
