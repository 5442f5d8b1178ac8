//! How far a constant can move when the others are fitted again.
//!
//! If the curves hardly determine the constants, the law's predictions are far from linear in them,
//! and an interval computed from slopes at one place is wrong. The interval here is a profile
//! interval: it ends at the most distant values of one constant for which the other constants,
//! fitted again, keep the predicted log losses within a given distance of the fitted ones. For a
//! law that is linear in its constants, both intervals are the same.

use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::storage::Owned;
use nalgebra::{DMatrix, DVector, Dyn};

use super::SLOPING;
use super::bounds::Range;
use super::problem::{Chosen, Fitted, Residual, residuals};

/// The maximum number of points of a curve that stand for all of its points.
const POINTS: usize = 48;
/// The fit of the other constants makes at most this number times (constants + 1) evaluations.
const PATIENCE: usize = 12;
/// How often the last step outward is halved to find the end of the interval.
const HALVINGS: usize = 4;

/// A fit's predictions, and the allowed distance from these predictions.
pub(super) struct Profile<'a> {
    /// Some points of each curve, with the log losses that the fit predicts.
    curves: Vec<Chosen<'a>>,
    /// For each residual, the square root of the number of points that the residual stands for.
    weights: Vec<f64>,
    ranges: &'a [Range],
    place: &'a [f64],
    distance: f64,
    end: f64,
}

impl<'a> Profile<'a> {
    /// Allows a `distance` from the fit: the square root of the summed squared differences of the
    /// log losses, over all points. The search does not move a free coordinate beyond ±`end`.
    pub(super) fn new(
        fitted: &'a [Fitted],
        ranges: &'a [Range],
        place: &'a [f64],
        distance: f64,
        end: f64,
    ) -> Self {
        let constants: Vec<f64> = ranges.iter().zip(place).map(|(r, u)| r.value(*u)).collect();
        let (mut curves, mut weights) = (Vec::new(), Vec::new());
        for curve in fitted {
            let mut chosen = curve.chosen(POINTS);
            let values = chosen.evaluate(&constants);
            chosen.log_losses = values.iter().map(|value| value.loss.ln()).collect();
            let share = curve.points() as f64 / chosen.places.len() as f64;
            weights.extend(chosen.places.iter().map(|_| share.sqrt()));
            curves.push(chosen);
        }
        Self {
            curves,
            weights,
            ranges,
            place,
            distance,
            end,
        }
    }

    /// Returns the most distant allowed free coordinate of a constant, in the direction of the sign
    /// of `reach`. If `start + reach` is farther away, returns that. The first steps outward are
    /// short, so that the refitted other constants can follow.
    pub(super) fn end(&self, constant: usize, reach: f64) -> f64 {
        let start = self.place[constant];
        let straight = start + reach;
        if straight.abs() >= self.end {
            return self.end.copysign(reach);
        }
        let mut others = self.place.to_vec();
        let (mut inside, mut step) = (start, reach / 2.0);
        let mut outside = inside + step;
        while self.holds(constant, outside.clamp(-self.end, self.end), &mut others) {
            if outside.abs() >= self.end {
                return self.end.copysign(reach);
            }
            inside = outside;
            step *= 2.0;
            outside += step;
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(inside, outside);
            match self.holds(constant, middle, &mut others) {
                true => inside = middle,
                false => outside = middle,
            }
        }
        let found = f64::midpoint(inside, outside);
        match (found - start).abs() > reach.abs() {
            true => found,
            false => straight,
        }
    }

    /// Returns whether the other constants can be fitted within the allowed distance while one
    /// constant is held at `target`. If they can, stores their free coordinates in `others`.
    fn holds(&self, constant: usize, target: f64, others: &mut Vec<f64>) -> bool {
        // A constant at an end of its range hardly changes with its free coordinate, so the fit
        // starts from a place inside the range.
        let mut u: Vec<f64> = others.iter().map(|u| u.clamp(-SLOPING, SLOPING)).collect();
        u[constant] = target;
        let mut follow = Follow {
            profile: self,
            constant,
            u,
            residuals: Vec::new(),
        };
        follow.evaluate();
        let minimiser = LevenbergMarquardt::new()
            .with_tol(1e-6)
            .with_patience(PATIENCE);
        let (follow, report) = minimiser.minimize(follow);
        let holds = (2.0 * report.objective_function).sqrt() <= self.distance;
        if holds {
            *others = follow.u;
        }
        holds
    }
}

/// The fit of the other constants while one constant is held fixed.
struct Follow<'a> {
    profile: &'a Profile<'a>,
    constant: usize,
    u: Vec<f64>,
    residuals: Vec<Residual>,
}

impl Follow<'_> {
    fn evaluate(&mut self) {
        self.residuals = residuals(&self.profile.curves, self.profile.ranges, &self.u);
    }

    /// Returns the index, among all constants, of the fitted constant number `free`.
    fn index(&self, free: usize) -> usize {
        free + usize::from(free >= self.constant)
    }
}

impl LeastSquaresProblem<f64, Dyn, Dyn> for Follow<'_> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;
    type ParameterStorage = Owned<f64, Dyn>;

    fn set_params(&mut self, free: &DVector<f64>) {
        for (i, value) in free.iter().enumerate() {
            let index = self.index(i);
            self.u[index] = *value;
        }
        self.evaluate();
    }

    fn params(&self) -> DVector<f64> {
        DVector::from_fn(self.u.len() - 1, |i, _| self.u[self.index(i)])
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        let weights = &self.profile.weights;
        let all = DVector::from_fn(weights.len(), |i, _| weights[i] * self.residuals[i].value);
        all.iter().all(|value| value.is_finite()).then_some(all)
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let weights = &self.profile.weights;
        let matrix = DMatrix::from_fn(weights.len(), self.u.len() - 1, |i, j| {
            weights[i] * self.residuals[i].slopes[self.index(j)]
        });
        matrix
            .iter()
            .all(|slope| slope.is_finite())
            .then_some(matrix)
    }
}
