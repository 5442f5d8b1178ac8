//! The constants of a law from curves.
//!
//! From each of several places a short fit to some of the points; from the best of these a long one to
//! all of them. Everything is deterministic: the same curves give the same law.

mod bounds;
mod problem;
mod spread;
mod starts;

use serde::{Serialize, Serializer};

use self::bounds::Units;
use self::problem::{Fitted, Problem};
pub use self::spread::Estimate;
use crate::curve::Curve;
use crate::error::LawError;
use crate::law::{Law, LawKind};

/// Points of each curve in the short fits.
const SHORT_POINTS: usize = 96;
/// Evaluations per constant, and one more.
const SHORT: usize = 12;
const LONG: usize = 40;
/// How many of the short fits are followed by a long one on the same points.
const FOLLOWED: usize = 3;
/// A fit begins where a constant has at least 0.02 of its slope in the middle of the range: one that
/// the last fit left at an end can come back.
const SLOPING: f64 = 4.0;
/// Where a range's end is as near as matters: e⁻¹² of the logarithm of its width.
const END: f64 = 12.0;

/// A law fitted to curves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// The law with its constants.
    #[serde(serialize_with = "by_kind")]
    pub law: Law,
    /// How far each constant can be trusted.
    pub estimates: Vec<Estimate>,
    /// The mean Huber loss of the log losses.
    pub huber: f64,
    /// The number of points fitted.
    pub points: usize,
    /// The autocorrelation time of the residuals, by which the estimates are spread: 1 where each point
    /// errs on its own.
    pub autocorrelation: f64,
}

fn by_kind<S: Serializer>(law: &Law, serializer: S) -> Result<S::Ok, S::Error> {
    law.kind().serialize(serializer)
}

/// Fits a law to curves: the Huber loss with δ = 10⁻³ on log loss, the objective of both papers.
///
/// # Errors
/// [`LawError::Fit`] where the curves have fewer points than the law has constants, never change the
/// rate, or lie where the law has no value.
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
    let shortly = |u: &[f64], patience| {
        let (problem, objective) =
            Problem::new(&fitted, SHORT_POINTS, &ranges, u).minimised(patience);
        (objective, problem.place().to_vec())
    };
    let starts = starts::starts(kind, units, &ranges, &fitted);
    let mut tried: Vec<_> = starts.iter().map(|u| shortly(u, SHORT)).collect();
    tried.sort_by(|one, other| one.0.total_cmp(&other.0));
    let followed = tried.iter().take(FOLLOWED).map(|(_, u)| shortly(u, LONG));
    let best = followed.min_by(|one, other| one.0.total_cmp(&other.0));
    let place = best.map(|(_, u)| u).unwrap_or_default();
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
    let (estimates, autocorrelation) = spread::estimates(symbols, &ranges, &problem);
    Ok(Fit {
        law: Law::new(kind, problem.constants())?,
        estimates,
        huber: huber / points as f64,
        points,
        autocorrelation,
    })
}

fn is_constant(curve: &Curve) -> bool {
    let points = curve.schedule().points();
    points
        .iter()
        .all(|(_, rate)| (rate - points[0].1).abs() <= 0.0)
}
