//! The uncertainty of the constants of a fit.
//!
//! The fit is an M-estimator. Let ψ = ρ' be the residuals clipped at ±δ, J the derivatives of the
//! residuals with respect to the free coordinates u of the constants, n the number of points, and p
//! the number of constants. The covariance of u is
//!
//! ```text
//! τ · K² · [Σ ψ² / (n − p)] / m² · (Jᵀ·J)⁻¹,   m the share of residuals below δ,   K = 1 + p/n·(1 − m)/m
//! ```
//!
//! (Huber, Robust Statistics, section 7.6). τ ≥ 1 is the autocorrelation time of ψ along the
//! curves: a law has similar errors at many consecutive points, so n points carry less information
//! than n independent ones. If the intervals from this formula leave no constant loose, they are
//! used as they are: symmetric in u. Otherwise every interval is extended to the profile interval
//! with the same distance from the fit, where the profile interval is wider.
//!
//! The quantile has Bonferroni's correction: each of the p constants is outside its interval with a
//! probability of 5 % / p.

use nalgebra::{DMatrix, SymmetricEigen};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::bounds::Range;
use super::problem::{DELTA, Fitted, Problem, Residual};
use super::profile::Profile;

/// A constant is hardly determined if the ends of its interval differ by more than this factor.
const LOOSE: f64 = 2.0;
/// A direction is undetermined if its eigenvalue of JᵀJ is below this share of the largest one.
const UNDETERMINED: f64 = 1e-14;

/// A constant of a fitted law.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The name of the constant, from [`LawKind::symbols`](crate::LawKind::symbols).
    pub symbol: &'static str,
    /// The fitted value.
    pub value: f64,
    /// The standard error: half the width of the interval, divided by the quantile.
    pub deviation: f64,
    /// The lower end of the interval. With 95 % probability all constants are in their intervals.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// Whether the curves hardly determine the constant: the ends of the interval differ by more
    /// than a factor of 2 (for λ, the values of 1 − λ at the ends do).
    pub loose: bool,
}

/// Returns an estimate of each constant, and the autocorrelation time τ. Free coordinates are
/// limited to ±`end`.
pub(super) fn estimates(
    symbols: &[&'static str],
    ranges: &[Range],
    fitted: &[Fitted],
    problem: &Problem<'_>,
    end: f64,
) -> (Vec<Estimate>, f64) {
    let residuals = problem.residuals_by_place();
    let (count, free) = (residuals.len() as f64, ranges.len() as f64);
    let influence: Vec<f64> = residuals
        .iter()
        .map(|residual| residual.value.clamp(-DELTA, DELTA))
        .collect();
    let linear = residuals
        .iter()
        .filter(|r| r.value.abs() < DELTA)
        .count()
        .max(1) as f64
        / count;
    let correction = 1.0 + free / count * (1.0 - linear) / linear;
    let squares: f64 = influence.iter().map(|psi| psi * psi).sum();
    let tau = autocorrelation_time(&influence, problem.lengths());
    let left = (count - free).max(1.0);
    let noise = tau * (correction / linear).powi(2) * squares / left;
    let variances = inverse_diagonal(residuals, ranges.len());
    let students = StudentsT::new(0.0, 1.0, (left / tau).max(1.0));
    let quantile = students.map_or(f64::INFINITY, |students| {
        students.inverse_cdf(1.0 - 0.025 / free)
    });
    let place = problem.place();
    // With a reach of 0 the search for the end of the interval would not move.
    let reach =
        |index: usize| (quantile * (noise * variances[index]).sqrt()).clamp(1e-9, 2.0 * end);
    let factor = |index: usize, ends: [f64; 2]| ranges[index].factor(ends[0], ends[1]);
    let straight = |index: usize| [place[index] - reach(index), place[index] + reach(index)];
    let bent = (0..ranges.len()).any(|index| factor(index, straight(index)) > LOOSE);
    let profile = Profile::new(fitted, ranges, place, quantile * noise.sqrt(), end);
    let estimate = |index: usize| {
        let ends = match bent {
            true => [-reach(index), reach(index)].map(|reach| profile.end(index, reach)),
            false => straight(index),
        };
        let [one, other] = ends.map(|u| ranges[index].value(u));
        Estimate {
            symbol: symbols[index],
            value: ranges[index].value(place[index]),
            deviation: (one - other).abs() / (2.0 * quantile),
            low: one.min(other),
            high: one.max(other),
            loose: factor(index, ends) > LOOSE,
        }
    };
    ((0..ranges.len()).map(estimate).collect(), tau)
}

/// Returns the diagonal of `(JᵀJ)⁻¹`, which is very large where a direction is undetermined.
fn inverse_diagonal(residuals: &[Residual], free: usize) -> Vec<f64> {
    let jacobian = DMatrix::from_fn(residuals.len(), free, |i, j| residuals[i].slopes[j]);
    let norms: Vec<f64> = jacobian
        .column_iter()
        .map(|column| column.norm().max(f64::MIN_POSITIVE.sqrt()))
        .collect();
    let scaled = DMatrix::from_fn(residuals.len(), free, |i, j| jacobian[(i, j)] / norms[j]);
    let eigen = SymmetricEigen::new(scaled.tr_mul(&scaled));
    let least = UNDETERMINED * eigen.eigenvalues.max();
    (0..free)
        .map(|j| {
            let directions = eigen.eigenvectors.row(j);
            let parts = directions.iter().zip(&eigen.eigenvalues);
            let sum: f64 = parts.map(|(v, value)| v * v / value.max(least)).sum();
            sum / norms[j].powi(2)
        })
        .collect()
}

/// Returns the autocorrelation time `1 + 2·Σ_l r_l`, with r_l the correlation of values that are l
/// points apart on a curve. The sum stops before the first negative r_l.
fn autocorrelation_time(values: &[f64], lengths: impl Iterator<Item = usize>) -> f64 {
    let mut curves = Vec::new();
    let mut rest = values;
    for length in lengths {
        let (curve, others) = rest.split_at(length);
        curves.push(curve);
        rest = others;
    }
    let squares: f64 = values.iter().map(|value| value * value).sum();
    if squares <= 0.0 {
        return 1.0;
    }
    let longest = curves.iter().map(|curve| curve.len()).max().unwrap_or(0);
    let correlation = |lag: usize| {
        let products = curves.iter().flat_map(|curve| {
            let shifted = curve.get(lag..).unwrap_or_default();
            curve.iter().zip(shifted).map(|(one, other)| one * other)
        });
        products.sum::<f64>() / squares
    };
    let positive = (1..longest).map(correlation).take_while(|r| *r > 0.0);
    1.0 + 2.0 * positive.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_come_in_pairs_count_half() {
        // In the sequence + + − −, half of the neighbours agree, and values two apart never agree.
        let pairs: Vec<f64> = (0..4000)
            .map(|i| if i % 4 < 2 { 1.0 } else { -1.0 })
            .collect();
        let single: Vec<f64> = (0..4000)
            .map(|i| if i % 2 < 1 { 1.0 } else { -1.0 })
            .collect();
        let time = |values: &[f64]| autocorrelation_time(values, [2000, 2000].into_iter());
        assert!((time(&single) - 1.0).abs() < 1e-12);
        assert!(time(&pairs) < 1.01, "{}", time(&pairs));
        let slow: Vec<f64> = (0..4000)
            .map(|i| if i % 40 < 20 { 1.0 } else { -1.0 })
            .collect();
        assert!(time(&slow) > 8.0, "{}", time(&slow));
    }

    #[test]
    fn the_mean_of_a_hundred_numbers_has_a_hundredth_of_their_variance() {
        let residual = |_| Residual {
            value: 0.0,
            slopes: vec![2.0],
        };
        let residuals: Vec<Residual> = (0..100).map(residual).collect();
        assert!((inverse_diagonal(&residuals, 1)[0] - 1.0 / 400.0).abs() < 1e-12);
    }
}
