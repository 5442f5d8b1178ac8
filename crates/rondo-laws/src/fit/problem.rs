//! The objective of a fit: the Huber loss of the log losses, as a sum of squares.
//!
//! With the residual `r = ln L_predicted − ln L`, the objective is `Σ ρ(r)`, where ρ(r) is r²/2 up
//! to |r| = δ, and δ·(|r| − δ/2) above. The objective is half the sum of the squares of
//! `q = sign(r)·√(2ρ(r))`, whose derivative is ρ'(r)/q.

use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::storage::Owned;
use nalgebra::{DMatrix, DVector, Dyn};

use super::bounds::Range;
use crate::curve::Curve;
use crate::law::{LawKind, Prepared, Value};

/// δ, in log loss.
pub(super) const DELTA: f64 = 1e-3;

/// A curve with its schedule prepared for a law.
#[derive(Clone, Debug)]
pub(super) struct Fitted {
    prepared: Prepared,
    log_losses: Vec<f64>,
}

impl Fitted {
    pub(super) fn new(kind: LawKind, curve: &Curve) -> Self {
        Self {
            prepared: Prepared::new(kind, curve.schedule()),
            log_losses: curve.losses().iter().map(|loss| loss.ln()).collect(),
        }
    }

    /// Returns how many points the curve has.
    pub(super) fn points(&self) -> usize {
        self.log_losses.len()
    }

    /// Returns at most `most` points of the curve, evenly spaced from the first to the last.
    pub(super) fn chosen(&self, most: usize) -> Chosen<'_> {
        let points = self.prepared.points();
        let count = points.len().min(most);
        let last = points.len() - 1;
        let indices = (0..count).map(|i| match count {
            1 => last,
            _ => i * last / (count - 1),
        });
        let (places, log_losses) = indices.map(|i| (points[i], self.log_losses[i])).unzip();
        Chosen {
            prepared: &self.prepared,
            places,
            log_losses,
        }
    }
}

/// Some points of a curve, and the log losses that the fit has to reach there.
pub(super) struct Chosen<'a> {
    prepared: &'a Prepared,
    pub(super) places: Vec<usize>,
    pub(super) log_losses: Vec<f64>,
}

impl Chosen<'_> {
    /// Returns the law's values at the points.
    pub(super) fn evaluate(&self, constants: &[f64]) -> Vec<Value> {
        self.prepared.evaluate(constants, &self.places)
    }
}

/// A residual r, and its derivatives with respect to the constants.
#[derive(Clone, Debug)]
pub(super) struct Residual {
    pub(super) value: f64,
    pub(super) slopes: Vec<f64>,
}

/// The points to be fitted, and trial constants of a law.
pub(super) struct Problem<'a> {
    curves: Vec<Chosen<'a>>,
    ranges: &'a [Range],
    u: DVector<f64>,
    residuals: Vec<Residual>,
}

impl<'a> Problem<'a> {
    /// Creates a problem from at most `most` points of each curve.
    pub(super) fn new(curves: &'a [Fitted], most: usize, ranges: &'a [Range], u: &[f64]) -> Self {
        let mut problem = Self {
            curves: curves.iter().map(|curve| curve.chosen(most)).collect(),
            ranges,
            u: DVector::from_column_slice(u),
            residuals: Vec::new(),
        };
        problem.evaluate();
        problem
    }

    /// Minimises the objective with at most `patience · (constants + 1)` evaluations. Returns the
    /// problem at the minimum, and the value of the objective.
    pub(super) fn minimised(self, patience: usize) -> (Self, f64) {
        let minimiser = LevenbergMarquardt::new()
            .with_tol(1e-12)
            .with_patience(patience);
        let (problem, report) = minimiser.minimize(self);
        (problem, report.objective_function)
    }

    /// Limits each free coordinate to ±`most`. This moves a constant away from the ends of its
    /// range, so that a change of its coordinate still changes the constant.
    pub(super) fn off_the_ends(mut self, most: f64) -> Self {
        self.u.apply(|u| *u = u.clamp(-most, most));
        self.evaluate();
        self
    }

    /// Returns the value of the objective.
    pub(super) fn huber(&self) -> f64 {
        let roots = self
            .residuals
            .iter()
            .map(|residual| huber_root(residual.value).0);
        roots.map(|root| root * root / 2.0).sum()
    }

    /// Returns the free coordinates u of the constants.
    pub(super) fn place(&self) -> &[f64] {
        self.u.as_slice()
    }

    /// Returns the constants.
    pub(super) fn constants(&self) -> Vec<f64> {
        let pairs = self.ranges.iter().zip(&self.u);
        pairs.map(|(range, u)| range.value(*u)).collect()
    }

    /// Returns the number of points of each curve.
    pub(super) fn lengths(&self) -> impl Iterator<Item = usize> {
        self.curves.iter().map(|curve| curve.places.len())
    }

    /// Returns the residual r of every point, with its derivatives with respect to the free
    /// coordinates.
    pub(super) fn residuals_by_place(&self) -> &[Residual] {
        &self.residuals
    }

    fn evaluate(&mut self) {
        self.residuals = residuals(&self.curves, self.ranges, self.u.as_slice());
    }
}

/// Returns the residual r of every point of the curves, for the constants at the free coordinates
/// u.
pub(super) fn residuals(curves: &[Chosen<'_>], ranges: &[Range], u: &[f64]) -> Vec<Residual> {
    let pairs = || ranges.iter().zip(u);
    let constants: Vec<f64> = pairs().map(|(range, u)| range.value(*u)).collect();
    let by_place: Vec<f64> = pairs().map(|(range, u)| range.slope(*u)).collect();
    let mut residuals = Vec::new();
    for curve in curves {
        let values = curve.evaluate(&constants);
        for (value, log_loss) in values.iter().zip(&curve.log_losses) {
            // If the constants predict a loss at or below zero, the residual is large; that is not
            // an error.
            let loss = value.loss.max(f64::MIN_POSITIVE);
            let slopes = value.slopes.iter().zip(&by_place);
            residuals.push(Residual {
                value: loss.ln() - log_loss,
                slopes: slopes.map(|(slope, by)| slope * by / loss).collect(),
            });
        }
    }
    residuals
}

/// Returns q and dq/dr for a residual r (see the formulas at the top of the file).
fn huber_root(r: f64) -> (f64, f64) {
    if r.abs() <= DELTA {
        return (r, 1.0);
    }
    let root = (DELTA * (2.0 * r.abs() - DELTA)).sqrt();
    (root.copysign(r), DELTA / root)
}

impl LeastSquaresProblem<f64, Dyn, Dyn> for Problem<'_> {
    type ResidualStorage = Owned<f64, Dyn>;
    type JacobianStorage = Owned<f64, Dyn, Dyn>;
    type ParameterStorage = Owned<f64, Dyn>;

    fn set_params(&mut self, u: &DVector<f64>) {
        self.u.copy_from(u);
        self.evaluate();
    }

    fn params(&self) -> DVector<f64> {
        self.u.clone()
    }

    fn residuals(&self) -> Option<DVector<f64>> {
        let roots = self
            .residuals
            .iter()
            .map(|residual| huber_root(residual.value).0);
        let roots = DVector::from_iterator(self.residuals.len(), roots);
        roots.iter().all(|root| root.is_finite()).then_some(roots)
    }

    fn jacobian(&self) -> Option<DMatrix<f64>> {
        let matrix = DMatrix::from_fn(self.residuals.len(), self.u.len(), |row, column| {
            let residual = &self.residuals[row];
            huber_root(residual.value).1 * residual.slopes[column]
        });
        matrix
            .iter()
            .all(|slope| slope.is_finite())
            .then_some(matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_square_of_the_root_is_the_huber_loss() {
        for (r, huber) in [(5e-4, 1.25e-7), (-5e-4, 1.25e-7), (3e-3, 2.5e-6)] {
            let (q, slope) = huber_root(r);
            assert!((q * q / 2.0 - huber).abs() < 1e-18, "{r}");
            let h = 1e-9;
            let difference = (huber_root(r + h).0 - huber_root(r - h).0) / (2.0 * h);
            assert!((slope - difference).abs() < 1e-6, "{r}");
        }
    }
}
