//! The ranges of a law's constants. A constant p between `low` and `high` is written as
//! `ln p = ln low + (ln high − ln low)·σ(u)` with the logistic function σ, so that the minimiser
//! can choose any u, the free coordinate of p. For λ, the range and this formula apply to 1 − λ.

use crate::curve::Curve;
use crate::law::LawKind;

/// The range of one constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    low: f64,
    high: f64,
    /// Whether the range is for 1 − p instead of p. True only for λ.
    of_rest: bool,
}

impl Range {
    fn of(low: f64, high: f64) -> Self {
        Self {
            low,
            high,
            of_rest: false,
        }
    }

    fn width(self) -> f64 {
        (self.high / self.low).ln()
    }

    /// Returns the constant at the free coordinate u.
    pub(super) fn value(self, u: f64) -> f64 {
        let part = (self.low.ln() + self.width() * sigmoid(u)).exp();
        if self.of_rest { 1.0 - part } else { part }
    }

    /// Returns the derivative of the constant with respect to u.
    pub(super) fn slope(self, u: f64) -> f64 {
        let share = sigmoid(u);
        let part = (self.low.ln() + self.width() * share).exp();
        let slope = part * self.width() * share * (1.0 - share);
        if self.of_rest { -slope } else { slope }
    }

    /// Returns the u of a constant. A constant outside the range, or close to one of its ends, is
    /// first moved inside.
    pub(super) fn place(self, value: f64) -> f64 {
        let part = if self.of_rest { 1.0 - value } else { value };
        let share = (part.max(self.low) / self.low).ln() / self.width();
        let share = share.clamp(1e-3, 1.0 - 1e-3);
        (share / (1.0 - share)).ln()
    }

    /// Returns the factor by which the constant (for λ: 1 − λ) differs between two values of u.
    pub(super) fn factor(self, one: f64, other: f64) -> f64 {
        (self.width() * (sigmoid(one) - sigmoid(other)).abs()).exp()
    }
}

fn sigmoid(u: f64) -> f64 {
    1.0 / (1.0 + (-u).exp())
}

/// The scales of the curves, from which the ranges are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Units {
    /// The highest rate.
    pub(super) peak: f64,
    /// The largest sum of rates.
    pub(super) sum: f64,
    /// The lowest loss.
    pub(super) loss: f64,
}

impl Units {
    /// Finds the scales of the given curves.
    pub(super) fn of(curves: &[Curve]) -> Self {
        let rates = curves.iter().flat_map(|curve| curve.schedule().points());
        let losses = curves.iter().flat_map(Curve::losses).copied();
        let sums = curves
            .iter()
            .filter_map(|curve| curve.schedule().sums().last().copied());
        Self {
            peak: rates.map(|(_, rate)| *rate).fold(0.0, f64::max),
            sum: sums.fold(0.0, f64::max),
            loss: losses.fold(f64::INFINITY, f64::min),
        }
    }
}

/// Returns the range of each constant of a law.
pub(super) fn ranges(kind: LawKind, units: Units) -> Vec<Range> {
    let Units { peak, sum, loss } = units;
    let exponent = Range::of(0.01, 5.0);
    // The range of A contains every A for which A·S1^−α, at the largest sum, is between 10⁻⁴ and
    // 10⁴ times the loss, for the smallest and for the largest α.
    let (one, other) = (sum.powf(0.01), sum.powf(5.0));
    let scale = Range::of(1e-4 * loss * one.min(other), 1e4 * loss * one.max(other));
    let mut ranges = vec![Range::of(1e-3 * loss, 2.0 * loss), scale, exponent];
    ranges.extend(match kind {
        LawKind::Tissue => vec![
            Range::of(1e-9 * loss / peak, 1e3 * loss / peak),
            Range {
                of_rest: true,
                ..Range::of(1e-6, 0.99)
            },
        ],
        LawKind::MultiPower => vec![
            Range::of(1e-6 * loss / peak, 1e3 * loss / peak),
            Range::of(1e-6, 1e6),
            Range::of(0.02, 5.0),
            // γ stays below 1: with γ > 1, a drop to a lower rate would act within fewer steps.
            Range::of(0.02, 1.0),
        ],
    });
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_values_agree_inside_the_range_and_stay_in_it() {
        let range = Range::of(1e-6, 1e6);
        for value in [1e-5, 1.0, 300.0] {
            assert!((range.value(range.place(value)) / value - 1.0).abs() < 1e-9);
        }
        assert!(range.value(range.place(0.0)) > 1e-6);
        assert!(range.value(1e9) <= 1e6 * 1.000_001);
        assert!(
            (range.value(0.0) - 1.0).abs() < 1e-9,
            "the geometric middle"
        );
    }

    #[test]
    fn lambda_is_spread_by_what_it_lacks_of_one() {
        let range = Range {
            of_rest: true,
            ..Range::of(1e-6, 0.99)
        };
        assert!((range.value(range.place(0.999)) - 0.999).abs() < 1e-9);
        let (u, h) = (range.place(0.99), 1e-6);
        let slope = (range.value(u + h) - range.value(u - h)) / (2.0 * h);
        assert!((range.slope(u) / slope - 1.0).abs() < 1e-6);
        let factor = range.factor(range.place(0.99), range.place(0.999));
        assert!((factor - 10.0).abs() < 1e-9);
    }
}
