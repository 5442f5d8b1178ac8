//! Spearman's rank correlation: whether one number consistently rises, or consistently falls, with
//! another.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::error::LawError;

/// Up to this many pairs, the p-value is computed from all orders of the ranks: 9! = 362,880.
const EXACT: usize = 9;
/// Correlations closer than this differ only by rounding.
const ROUNDING: f64 = 1e-12;

/// Spearman's rank correlation, and its p-value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RankCorrelation {
    /// ρ, from −1 to 1: Pearson's correlation of the ranks; tied values share their mean rank.
    pub rho: f64,
    /// The two-sided p-value: the probability that unrelated numbers have a correlation at least as
    /// strong.
    pub p_value: f64,
    /// How the probability was computed.
    pub method: PValue,
    /// The number of pairs.
    pub pairs: usize,
}

/// How the probability of a rank correlation was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PValue {
    /// From all orders of the ranks; for up to 9 pairs.
    Exact,
    /// From `t = ρ·√((n − 2)/(1 − ρ²))` and Student's distribution with n − 2 degrees of freedom.
    StudentT,
}

/// Computes the rank correlation of pairs of numbers, such as summed rates and final losses.
///
/// # Errors
/// [`LawError::Ranks`] for lists of different lengths, for fewer than 3 pairs, for a number that is
/// not finite, and for a list with only one distinct value.
pub fn rank_correlation(xs: &[f64], ys: &[f64]) -> Result<RankCorrelation, LawError> {
    let wrong = |problem: String| LawError::Ranks { problem };
    let pairs = xs.len();
    if pairs != ys.len() {
        return Err(wrong(format!("{pairs} numbers beside {}", ys.len())));
    }
    if pairs < 3 {
        return Err(wrong(format!("needs at least 3 pairs, found {pairs}")));
    }
    if let Some(bad) = xs.iter().chain(ys).find(|value| !value.is_finite()) {
        return Err(wrong(format!("every number must be finite, found {bad}")));
    }
    let (mut xs, mut ys) = (standardised(xs), standardised(ys));
    for list in [&mut xs, &mut ys] {
        if list.iter().all(|rank| rank.abs() <= ROUNDING) {
            return Err(wrong("all numbers of a list are equal".into()));
        }
    }
    let rho = product(&xs, &ys).clamp(-1.0, 1.0);
    let (p_value, method) = match pairs {
        ..=EXACT => (permuted_share(&xs, &mut ys, rho.abs()), PValue::Exact),
        _ => (student_tail(rho, pairs), PValue::StudentT),
    };
    Ok(RankCorrelation {
        rho,
        p_value,
        method,
        pairs,
    })
}

/// Returns the ranks of the values, shifted and scaled to a mean of 0 and a sum of squares of 1. If
/// all values are equal, returns zeros.
fn standardised(values: &[f64]) -> Vec<f64> {
    let middle = (values.len() as f64 - 1.0) / 2.0;
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count() as f64;
        let equal = values.iter().filter(|other| *other <= value).count() as f64 - below;
        below + (equal - 1.0) / 2.0 - middle
    };
    let ranks: Vec<f64> = values.iter().map(rank).collect();
    let norm = product(&ranks, &ranks).sqrt();
    let norm = if norm > 0.0 { norm } else { 1.0 };
    ranks.into_iter().map(|rank| rank / norm).collect()
}

fn product(xs: &[f64], ys: &[f64]) -> f64 {
    xs.iter().zip(ys).map(|(x, y)| x * y).sum()
}

fn student_tail(rho: f64, pairs: usize) -> f64 {
    let degrees = pairs as f64 - 2.0;
    let t = rho.abs() * (degrees / (1.0 - rho * rho).max(f64::MIN_POSITIVE)).sqrt();
    let students = StudentsT::new(0.0, 1.0, degrees);
    students.map_or(f64::NAN, |students| 2.0 * students.sf(t))
}

/// Returns the share of the orders of `ys` whose correlation with `xs` is at least `strength`, by
/// Heap's algorithm.
fn permuted_share(xs: &[f64], ys: &mut [f64], strength: f64) -> f64 {
    let strong = |ys: &[f64]| u32::from(product(xs, ys).abs() >= strength - ROUNDING);
    let (mut found, mut orders) = (strong(ys), 1_u32);
    let mut turns = vec![0; ys.len()];
    let mut i = 1;
    while i < ys.len() {
        if turns[i] < i {
            let other = if i % 2 == 0 { 0 } else { turns[i] };
            ys.swap(other, i);
            found += strong(ys);
            orders += 1;
            turns[i] += 1;
            i = 1;
        } else {
            turns[i] = 0;
            i += 1;
        }
    }
    f64::from(found) / f64::from(orders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(xs: &[f64], ys: &[f64]) -> RankCorrelation {
        rank_correlation(xs, ys).expect("a correlation")
    }

    #[test]
    fn two_of_the_twenty_four_orders_of_four_are_perfect() {
        let found = of(&[1.0, 2.0, 3.0, 4.0], &[9.0, 5.0, 4.0, -7.0]);
        assert!((found.rho + 1.0).abs() < 1e-12);
        assert!((found.p_value - 2.0 / 24.0).abs() < 1e-12);
        assert_eq!(found.method, PValue::Exact);
    }

    #[test]
    fn only_the_order_of_the_numbers_counts_and_ties_share_a_rank() {
        let xs = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(
            of(&xs, &[1.0, 4.0, 9.0, 2.0, 7.0]),
            of(&xs, &[0.1, 3.0, 90.0, 0.2, 8.0])
        );
        // The ranks are 1, 2, 3 and 1.5, 1.5, 3. The products of their deviations from the mean 2
        // sum to 1.5, which is divided by √(2·1.5).
        let tied = of(&[1.0, 2.0, 3.0], &[5.0, 5.0, 6.0]);
        assert!((tied.rho - 1.5 / 3.0_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn many_pairs_are_compared_with_students_distribution() {
        // Two neighbours are exchanged: ρ = 1 − 6·2/(10·99), and t = 18.0 with 8 degrees of
        // freedom.
        let xs: Vec<f64> = (0..10).map(f64::from).collect();
        let mut ys = xs.clone();
        ys.swap(4, 5);
        let found = of(&xs, &ys);
        assert!((found.rho - (1.0 - 12.0 / 990.0)).abs() < 1e-12);
        assert_eq!(found.method, PValue::StudentT);
        // Student's distribution with 8 degrees of freedom has a closed form in ρ and c = 1 − ρ².
        let (rho, c) = (found.rho, 1.0 - found.rho * found.rho);
        let inside = rho * (1.0 + c / 2.0 + 3.0 * c * c / 8.0 + 5.0 * c * c * c / 16.0);
        assert!(
            (found.p_value - (1.0 - inside)).abs() < 1e-12,
            "{}",
            found.p_value
        );
        assert!(of(&xs, &xs).p_value < 1e-12);
    }

    #[test]
    fn numbers_that_cannot_be_ranked_are_refused() {
        let refused = |xs: &[f64], ys: &[f64]| {
            let error = rank_correlation(xs, ys).expect_err("a refusal");
            error.to_string()
        };
        let three = [1.0, 2.0, 3.0];
        assert!(refused(&three, &[1.0]).ends_with("3 numbers beside 1"));
        assert!(refused(&[1.0], &[1.0]).ends_with("at least 3 pairs, found 1"));
        assert!(refused(&three, &[1.0, f64::NAN, 1.0]).ends_with("found NaN"));
        assert!(refused(&three, &[1.0; 3]).ends_with("are equal"));
    }
}
