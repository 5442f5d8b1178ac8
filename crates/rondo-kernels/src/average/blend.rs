//! The update of the average in an iteration: `h ← h + e^(s − L) (z − h)`. L is the logarithm of
//! the sum of all weights, including the weight of this iteration.

use super::{EPS, Score};
use crate::matrix::Matrix;
use crate::real::Real;
use crate::rows::{for_rows, for_rows_of_two, for_rows_with_sums};
use crate::vector::vectorized;

/// The update `h + e^(s − L) (z − h)`, without its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blend;

/// The tensors of a [`Blend`], or other values in their places: `X` in the place of matrices, `V`
/// in the place of the vector.
#[derive(Clone, Copy, Debug)]
pub struct BlendTensors<X, V = X> {
    /// The output z of the iteration, `[tokens, width]`.
    pub z: X,
    /// The average h so far, `[tokens, width]`.
    pub average: X,
    /// The logarithm L of the sum of weights, `[tokens, 1]`.
    pub total: X,
    /// The learned vector q, `[width]`.
    pub query: V,
}

impl Blend {
    /// Returns the new h, `[tokens, width]`.
    pub fn forward(self, tensors: &BlendTensors<Matrix<'_>>) -> Vec<f32> {
        let [tokens, width] = tensors.z.shape();
        let (q, z) = (tensors.query.elements(), tensors.z.elements());
        let (h, total) = (tensors.average.elements(), tensors.total.elements());
        let mut y = vec![0.0; tokens * width];
        for_rows(&mut y, width, |first, y| {
            vectorized(
                #[inline(always)]
                || {
                    for (row, y) in (first..).zip(y.chunks_exact_mut(width)) {
                        let at = row * width..(row + 1) * width;
                        forward_row(q, &z[at.clone()], &h[at], total[row], EPS, y);
                    }
                },
            );
        });
        y
    }

    /// Returns the gradient of every tensor.
    ///
    /// # Shapes
    ///
    /// `d_y`: `[tokens, width]`.
    pub fn backward(
        self,
        tensors: &BlendTensors<Matrix<'_>>,
        d_y: Matrix<'_>,
    ) -> BlendTensors<Vec<f32>> {
        let [tokens, width] = tensors.z.shape();
        let (q, z) = (tensors.query.elements(), tensors.z.elements());
        let (h, total) = (tensors.average.elements(), tensors.total.elements());
        let d_y = d_y.elements();
        let (mut d_h, mut d_total) = (vec![0.0; tokens * width], vec![0.0; tokens]);
        for_rows_of_two(
            (&mut d_h, width),
            (&mut d_total, 1),
            |first, d_h, d_total| {
                vectorized(
                    #[inline(always)]
                    || {
                        let rows = (first..).zip(d_h.chunks_exact_mut(width)).zip(d_total);
                        for ((row, d_h), d_total) in rows {
                            let at = row * width..(row + 1) * width;
                            let (z, h, d_y) = (&z[at.clone()], &h[at.clone()], &d_y[at]);
                            *d_total = backward_of_past(q, z, h, d_y, [total[row], EPS], d_h);
                        }
                    },
                );
            },
        );
        let mut d_z = vec![0.0; tokens * width];
        let d_q = for_rows_with_sums(&mut d_z, width, width, |first, d_z, d_q| {
            vectorized(
                #[inline(always)]
                || {
                    for (row, d_z) in (first..).zip(d_z.chunks_exact_mut(width)) {
                        let at = row * width..(row + 1) * width;
                        let (z, d_y) = (&z[at.clone()], &d_y[at]);
                        let numbers = [total[row], d_total[row], EPS];
                        backward_of_new(q, z, d_y, numbers, d_z, d_q);
                    }
                },
            );
        });
        BlendTensors {
            z: d_z,
            average: d_h,
            total: d_total,
            query: d_q,
        }
    }
}

#[inline(always)]
pub(super) fn forward_row<T: Real>(q: &[T], z: &[T], h: &[T], total: T, eps: T, y: &mut [T]) {
    let share = (Score::of(q, z, eps).value - total).exp();
    for ((y, z), h) in y.iter_mut().zip(z).zip(h) {
        *y = *h + share * (*z - *h);
    }
}

/// Writes the gradient of h and returns the gradient of L: `−γ ⟨d_y, z − h⟩` with `γ = e^(s − L)`.
/// The gradient of s is the negative of the gradient of L.
#[inline(always)]
pub(super) fn backward_of_past<T: Real>(
    q: &[T],
    z: &[T],
    h: &[T],
    d_y: &[T],
    [total, eps]: [T; 2],
    d_h: &mut [T],
) -> T {
    let share = (Score::of(q, z, eps).value - total).exp();
    let stays = T::ONE - share;
    for (d_h, d_y) in d_h.iter_mut().zip(d_y) {
        *d_h = stays * *d_y;
    }
    share * (T::dot(d_y, h) - T::dot(d_y, z))
}

/// Writes the gradient of z and adds the token's contribution to the gradient of q.
#[inline(always)]
pub(super) fn backward_of_new<T: Real>(
    q: &[T],
    z: &[T],
    d_y: &[T],
    [total, d_total, eps]: [T; 3],
    d_z: &mut [T],
    d_q: &mut [T],
) {
    let score = Score::of(q, z, eps);
    let share = (score.value - total).exp();
    for (d_z, d_y) in d_z.iter_mut().zip(d_y) {
        *d_z = share * *d_y;
    }
    score.backward(-d_total, q, z, d_z, d_q);
}
