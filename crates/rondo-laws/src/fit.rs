//! Fits the constants of a law to curves.
//!
//! A short fit to some of the points starts from each of several places; a long fit to all points
//! starts from the best result. Everything is deterministic: the same curves give the same law.

mod bounds;
mod problem;
mod profile;
mod spread;
mod starts;

use serde::{Serialize, Serializer};

use self::bounds::{Range, Units};
use self::problem::{Fitted, Problem};
pub use self::spread::Estimate;
use crate::curve::Curve;
use crate::error::LawError;
use crate::law::{Law, LawKind};

/// The maximum number of points of each curve in a short fit.
const SHORT_POINTS: usize = 96;
/// A short or long fit makes at most `(constants + 1)` times this number of evaluations.
const SHORT: usize = 12;
const LONG: usize = 40;
/// The number of short fits that are continued, each with a long fit on the same points.
const FOLLOWED: usize = 3;
/// The largest |u| of a constant at the start of a fit (see `bounds` for u). At |u| = 4 the
/// logarithm of the constant changes 0.07 times as fast with u as at u = 0, so a constant that the
/// last fit left at an end of its range can still come back.
const SLOPING: f64 = 4.0;
/// The largest |u| of a constant at the end of a fit. There the logarithm of the constant is e⁻¹²
/// of the range's logarithmic width away from the end, which makes no practical difference.
const END: f64 = 12.0;

/// A law fitted to curves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// The law with its constants.
    #[serde(serialize_with = "by_kind")]
    pub law: Law,
    /// The estimate of each constant, with its interval.
    pub estimates: Vec<Estimate>,
    /// The mean Huber loss of the log losses.
    pub huber: f64,
    /// The number of points fitted.
    pub points: usize,
    /// The autocorrelation time of the residuals. It is 1 if the errors of the points are
    /// independent; a longer time widens the intervals.
    pub autocorrelation: f64,
}

fn by_kind<S: Serializer>(law: &Law, serializer: S) -> Result<S::Ok, S::Error> {
    law.kind().serialize(serializer)
}

/// Fits a law to curves: minimises the Huber loss with δ = 10⁻³ of the log losses. The authors of
/// both laws minimise the same objective.
///
/// # Errors
/// [`LawError::Fit`] if the curves have no more points than the law has constants, if the rate is
/// constant in every curve, or if no constants give a finite loss at every point.
pub fn fit(kind: LawKind, curves: &[Curve]) -> Result<Fit, LawError> {
    let wrong = |problem: String| LawError::Fit {
        law: kind.name(),
        problem,
    };
    let symbols = kind.symbols();
    let points: usize = curves.iter().map(|curve| curve.losses().len()).sum();
    if points <= symbols.len() {
        return Err(wrong(format!(
            "{} constants need more than as many points, found {points}",
            symbols.len()
        )));
    }
    if curves.iter().all(is_constant) {
        return Err(wrong(
            "the rate is constant in every curve: add one in which it falls".into(),
        ));
    }
    let units = Units::of(curves);
    let ranges = bounds::ranges(kind, units);
    let fitted: Vec<Fitted> = curves
        .iter()
        .map(|curve| Fitted::new(kind, curve))
        .collect();
    let starts = starts::starts(kind, units, &ranges, &fitted);
    let place = best_of(&starts, &ranges, &fitted);
    let (problem, _) = Problem::new(&fitted, usize::MAX, &ranges, &place)
        .off_the_ends(SLOPING)
        .minimised(LONG);
    let problem = problem.off_the_ends(END);
    let huber = problem.huber();
    if !huber.is_finite() {
        return Err(wrong(
            "no constants give a finite loss at every point".into(),
        ));
    }
    let (estimates, autocorrelation) = spread::estimates(symbols, &ranges, &fitted, &problem, END);
    Ok(Fit {
        law: Law::new(kind, problem.constants())?,
        estimates,
        huber: huber / points as f64,
        points,
        autocorrelation,
    })
}

/// Fits some of the points briefly from every start, then continues the best of these fits. Returns
/// the constants of the best result, as free coordinates u.
fn best_of(starts: &[Vec<f64>], ranges: &[Range], fitted: &[Fitted]) -> Vec<f64> {
    let fit = |u: &[f64], patience| {
        let problem = Problem::new(fitted, SHORT_POINTS, ranges, u);
        let (problem, objective) = problem.minimised(patience);
        (objective, problem.place().to_vec())
    };
    let mut tried: Vec<_> = starts.iter().map(|u| fit(u, SHORT)).collect();
    tried.sort_by(|one, other| one.0.total_cmp(&other.0));
    let followed = tried.iter().take(FOLLOWED).map(|(_, u)| fit(u, LONG));
    let best = followed.min_by(|one, other| one.0.total_cmp(&other.0));
    best.map(|(_, u)| u).unwrap_or_default()
}

fn is_constant(curve: &Curve) -> bool {
    let points = curve.schedule().points();
    points
        .iter()
        .all(|(_, rate)| (rate - points[0].1).abs() <= 0.0)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use rand_distr::{Distribution, Normal};

    use super::*;
    use crate::curve::Point;
    use crate::law::tests::{MULTI_POWER, TISSUE};
    use crate::schedule::{Schedule, sum_before_peak};
    use crate::score::score;

    const WARMUP: u64 = 2000;
    const PEAK: f64 = 3e-4;
    /// The number of steps between two logged points.
    const EVERY: u64 = 100;

    fn laws() -> [Law; 2] {
        let law = |kind, constants: &[f64]| Law::new(kind, constants.to_vec()).expect("a law");
        [
            law(LawKind::Tissue, &TISSUE),
            law(LawKind::MultiPower, &MULTI_POWER),
        ]
    }

    /// Returns the curve that `law` predicts for a schedule. `shape` gives the rate as a multiple
    /// of the peak, over the share p of the steps after the warm-up. Each loss is multiplied by a
    /// draw from Normal(1, `noise`).
    fn curve(law: &Law, horizon: u64, shape: fn(f64) -> f64, noise: f64) -> Curve {
        let length = horizon - WARMUP;
        let rates = (0..=length / EVERY).map(|i| {
            let share = (i * EVERY) as f64 / length as f64;
            (WARMUP + i * EVERY, PEAK * shape(share))
        });
        let before = sum_before_peak(WARMUP, PEAK);
        let schedule = Schedule::new("a", before, rates.collect()).expect("a schedule");
        let mut draws = ChaCha8Rng::seed_from_u64(horizon);
        let normal = Normal::new(1.0, noise).expect("a distribution");
        let losses = law.predict(&schedule);
        let points: Vec<Point> = schedule
            .points()
            .iter()
            .zip(losses)
            .map(|(&(step, rate), loss)| Point {
                step,
                rate,
                loss: loss * normal.sample(&mut draws),
            })
            .collect();
        Curve::after("a", before, &points).expect("a curve")
    }

    /// Returns the curves of three schedules: a cosine, a constant and a step down.
    fn fitted(law: &Law, noise: f64) -> [Curve; 3] {
        [
            curve(law, 18_000, |p| 0.55 + 0.45 * (PI * p).cos(), noise),
            curve(law, 17_000, |_| 1.0, noise),
            curve(law, 10_000, |p| if p < 0.4 { 1.0 } else { 0.3 }, noise),
        ]
    }

    #[test]
    fn without_noise_schedules_that_were_not_fitted_are_predicted() {
        for law in laws() {
            let curves = fitted(&law, 0.0);
            let fit = fit(law.kind(), &curves).expect("a fit");
            let held_out = [
                curve(&law, 40_000, |p| 1.0 - 0.9 * p, 0.0),
                curve(&law, 20_000, |p| ((1.0 - p) / 0.2).min(1.0), 0.0),
            ];
            for (curves, most) in [(&curves[..], 1e-3), (&held_out[..], 3e-3)] {
                for score in score(&fit.law, curves).curves {
                    assert!(score.rmse <= most, "{}: {score:?}", law.kind());
                }
            }
        }
    }

    #[test]
    fn with_noise_the_constants_lie_in_their_intervals() {
        for law in laws() {
            let fit = fit(law.kind(), &fitted(&law, 2e-3)).expect("a fit");
            for (index, (found, expected)) in fit.estimates.iter().zip(law.constants()).enumerate()
            {
                let inside = (found.low..=found.high).contains(expected);
                assert!(inside, "{}, {expected}: {found:?}", law.kind());
                // The first three are L0, A and α.
                if index < 3 {
                    let error = (found.value / expected - 1.0).abs();
                    assert!(error < 0.05 && !found.loose, "{}: {found:?}", law.kind());
                }
            }
            let loose: Vec<&str> = fit
                .estimates
                .iter()
                .filter(|e| e.loose)
                .map(|e| e.symbol)
                .collect();
            let expected: &[&str] = match law.kind() {
                LawKind::Tissue => &[],
                LawKind::MultiPower => &["C", "beta", "gamma"],
            };
            assert!(
                expected.iter().all(|symbol| loose.contains(symbol)),
                "{loose:?}"
            );
            assert!(fit.autocorrelation < 1.5, "{}", fit.autocorrelation);
        }
    }

    #[test]
    fn the_same_curves_give_the_same_law() {
        let [law, _] = laws();
        let curves = fitted(&law, 2e-3);
        assert_eq!(fit(law.kind(), &curves), fit(law.kind(), &curves));
    }

    #[test]
    fn curves_that_cannot_determine_a_law_are_refused() {
        let [law, _] = laws();
        let refused = |curves: &[Curve]| {
            let error = fit(law.kind(), curves).expect_err("a refusal");
            error.to_string()
        };
        assert_eq!(
            refused(&[]),
            "cannot fit law tissue: 5 constants need more than as many points, found 0"
        );
        let constant = curve(&law, 10_000, |_| 1.0, 0.0);
        assert!(refused(&[constant]).contains("the rate is constant in every curve"));
    }
}
