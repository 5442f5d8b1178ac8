//! Pulls a state towards an earlier state, or pushes it away: `y = base + c ⊙ (past − x)`
//! (history-state injection, arXiv 2609.36636).
//!
//! To use several earlier states, the sums are chained: x is the base of the first sum, and each
//! result is the base of the next sum.

use crate::matrix::Matrix;
use crate::real::Real;
use crate::rows::{for_rows, for_rows_with_sums};
use crate::vector::vectorized;

/// The operation `base + c ⊙ (past − x)` for one lag, without its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The index of the lag: 0 for the state one iteration before x, 1 for the state before that.
    /// It is also the row of the coefficients.
    pub lag: usize,
}

/// The tensors of a [`Difference`], or other values in their places: `X` in the place of matrices
/// with a row per token, `C` in the place of the coefficients.
#[derive(Clone, Copy, Debug)]
pub struct DifferenceTensors<X, C = X> {
    /// The state x, `[tokens, width]`.
    pub x: X,
    /// An earlier state, `[tokens, width]`.
    pub past: X,
    /// The base, `[tokens, width]`; `None` if the base is x.
    pub base: Option<X>,
    /// The coefficients c, a row for each lag: `[lags, width]`, or `[lags, 1]` if all channels
    /// share one number.
    pub coefficients: C,
}

impl Difference {
    /// Returns y, `[tokens, width]`.
    pub fn forward(self, tensors: &DifferenceTensors<Matrix<'_>>) -> Vec<f32> {
        let [tokens, width] = tensors.x.shape();
        let c = self.channels(tensors.coefficients, width);
        let (x, past) = (tensors.x.elements(), tensors.past.elements());
        let base = tensors.base.map_or(x, |base| base.elements());
        let mut y = vec![0.0; tokens * width];
        for_rows(&mut y, width, |first, y| {
            let at = first * width;
            vectorized(
                #[inline(always)]
                || {
                    for (row, y) in y.chunks_exact_mut(width).enumerate() {
                        let row = at + row * width..at + (row + 1) * width;
                        let (x, past) = (&x[row.clone()], &past[row.clone()]);
                        forward_row(&c, x, past, &base[row], y);
                    }
                },
            );
        });
        y
    }

    /// Returns the gradient of every tensor. The gradient of the coefficients is zero outside the
    /// row of this lag.
    ///
    /// # Shapes
    ///
    /// `d_y`: `[tokens, width]`.
    pub fn backward(
        self,
        tensors: &DifferenceTensors<Matrix<'_>>,
        d_y: Matrix<'_>,
    ) -> DifferenceTensors<Vec<f32>> {
        let [tokens, width] = tensors.x.shape();
        let c = self.channels(tensors.coefficients, width);
        let (x, past, d_y) = (
            tensors.x.elements(),
            tensors.past.elements(),
            d_y.elements(),
        );
        let mut d_past = vec![0.0; tokens * width];
        let d_c = for_rows_with_sums(&mut d_past, width, width, |first, d_past, d_c| {
            let at = first * width;
            vectorized(
                #[inline(always)]
                || {
                    for (row, d_past) in d_past.chunks_exact_mut(width).enumerate() {
                        let row = at + row * width..at + (row + 1) * width;
                        let (x, past) = (&x[row.clone()], &past[row.clone()]);
                        backward_row(&c, x, past, &d_y[row], d_past, d_c);
                    }
                },
            );
        });
        let is_base = tensors.base.is_none();
        let mut d_x = vec![0.0; tokens * width];
        for_rows(&mut d_x, width, |first, d_x| {
            let at = first * width;
            let (d_past, d_y) = (&d_past[at..], &d_y[at..]);
            vectorized(
                #[inline(always)]
                || {
                    for ((d_x, d_past), d_y) in d_x.iter_mut().zip(d_past).zip(d_y) {
                        *d_x = if is_base { d_y - d_past } else { -d_past };
                    }
                },
            );
        });
        let [lags, per_lag] = tensors.coefficients.shape();
        let mut d_coefficients = vec![0.0; lags * per_lag];
        let row = &mut d_coefficients[self.lag * per_lag..(self.lag + 1) * per_lag];
        match per_lag == width {
            true => row.copy_from_slice(&d_c),
            false => row[0] = d_c.iter().sum(),
        }
        DifferenceTensors {
            x: d_x,
            past: d_past,
            base: tensors.base.map(|_| d_y.to_vec()),
            coefficients: d_coefficients,
        }
    }

    /// Returns the coefficient of each channel.
    fn channels(self, coefficients: Matrix<'_>, width: usize) -> Vec<f32> {
        let row = coefficients.row(self.lag);
        match row.len() == width {
            true => row.to_vec(),
            false => vec![row[0]; width],
        }
    }
}

#[inline(always)]
pub(super) fn forward_row<T: Real>(c: &[T], x: &[T], past: &[T], base: &[T], y: &mut [T]) {
    for ((((y, x), past), base), c) in y.iter_mut().zip(x).zip(past).zip(base).zip(c) {
        *y = *base + *c * (*past - *x);
    }
}

/// Writes the gradient of the earlier state and adds the row's contribution to `d_c`. The gradient
/// of x is the negative of the gradient of the earlier state, if x is not the base.
#[inline(always)]
pub(super) fn backward_row<T: Real>(
    c: &[T],
    x: &[T],
    past: &[T],
    d_y: &[T],
    d_past: &mut [T],
    d_c: &mut [T],
) {
    let rows = d_past.iter_mut().zip(d_c).zip(x).zip(past).zip(d_y).zip(c);
    for (((((d_past, d_c), x), past), d_y), c) in rows {
        *d_past = *c * *d_y;
        *d_c += *d_y * (*past - *x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coefficient_of_a_half_goes_half_the_way_back_and_zero_stays() {
        let (x, past, c) = ([4.0, -1.0], [2.0, 7.0], [0.5, 0.0]);
        let tensors = DifferenceTensors {
            x: Matrix::new(&x, 1, 2),
            past: Matrix::new(&past, 1, 2),
            base: None,
            coefficients: Matrix::new(&c, 1, 2),
        };
        let y = Difference { lag: 0 }.forward(&tensors);
        assert_eq!(
            y.iter().map(|y| y.to_bits()).collect::<Vec<_>>(),
            [3.0_f32, -1.0].map(f32::to_bits)
        );
        // One coefficient is used for all channels.
        let one = DifferenceTensors {
            coefficients: Matrix::new(&c, 2, 1),
            ..tensors
        };
        let y = Difference { lag: 0 }.forward(&one);
        assert_eq!(
            y.iter().map(|y| y.to_bits()).collect::<Vec<_>>(),
            [3.0_f32, 3.0].map(f32::to_bits)
        );
        let y = Difference { lag: 1 }.forward(&one);
        assert_eq!(
            y.iter().map(|y| y.to_bits()).collect::<Vec<_>>(),
            x.map(f32::to_bits)
        );
    }
}
