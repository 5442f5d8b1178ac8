//! Removes from the decayed state its component along the update, then adds the update (OrthoInj of
//! xLLM-Loop, arXiv 2610.06833).
//!
//! ```text
//! r = e^(−Δa) ⊙ x    c = ⟨r, u⟩ / (‖u‖² + ε)    y = (r − c u) + u    ε = 1e-6
//! ```
//!
//! for each token; `u` is the update, and `Δ` and `a` are defined in [`channels`](super::channels).
//! Thus `⟨y − u, u⟩ = 0` apart from ε: the state adds nothing along the update. The gradient also
//! passes through c.

use super::channels::Coefficient;
use crate::matrix::Matrix;
use crate::real::Real;
use crate::rows::{for_rows, for_rows_of_two_with_sums};
use crate::vector::vectorized;

/// The number ε, which is added to the squared length of the update.
pub const EPS: f32 = 1e-6;

/// The operation `(r − c u) + u`, without its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orthogonal;

/// The tensors of [`Orthogonal`], or other values in their places: `X` in the place of matrices
/// with a row per token, `V` in the place of vectors with a number per channel.
#[derive(Clone, Copy, Debug)]
pub struct OrthogonalTensors<X, V = X> {
    /// The state x, `[tokens, width]`.
    pub x: X,
    /// The update u, `[tokens, width]`.
    pub update: X,
    /// The logarithm of `a`, `[width]`.
    pub a_log: V,
    /// The number whose softplus is Δ, `[width]`.
    pub dt_bias: V,
}

impl Orthogonal {
    /// Returns y, `[tokens, width]`.
    pub fn forward(self, tensors: &OrthogonalTensors<Matrix<'_>>) -> Vec<f32> {
        let [tokens, width] = tensors.x.shape();
        let (a_log, dt_bias) = (tensors.a_log.elements(), tensors.dt_bias.elements());
        let decay = Coefficient::Decay.values(a_log, dt_bias);
        let (x, u) = (tensors.x.elements(), tensors.update.elements());
        let mut y = vec![0.0; tokens * width];
        for_rows(&mut y, width, |first, y| {
            let (x, u) = (&x[first * width..], &u[first * width..]);
            vectorized(
                #[inline(always)]
                || {
                    let rows = x.chunks_exact(width).zip(u.chunks_exact(width));
                    for ((x, u), y) in rows.zip(y.chunks_exact_mut(width)) {
                        forward_row(&decay, x, u, EPS, y);
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
        tensors: &OrthogonalTensors<Matrix<'_>>,
        d_y: Matrix<'_>,
    ) -> OrthogonalTensors<Vec<f32>> {
        let [tokens, width] = tensors.x.shape();
        let (a_log, dt_bias) = (tensors.a_log.elements(), tensors.dt_bias.elements());
        let decay = Coefficient::Decay.values(a_log, dt_bias);
        let (x, u, d_y) = (
            tensors.x.elements(),
            tensors.update.elements(),
            d_y.elements(),
        );
        let mut d_x = vec![0.0; tokens * width];
        let mut d_u = vec![0.0; tokens * width];
        let d_decay = for_rows_of_two_with_sums(
            (&mut d_x, width),
            (&mut d_u, width),
            width,
            |first, d_x, d_u, d_decay| {
                let first = first * width;
                let rows = d_x.len();
                let (x, u, d_y) = (&x[first..], &u[first..], &d_y[first..]);
                vectorized(
                    #[inline(always)]
                    || {
                        // The scratch holds the decayed row r, then the gradient of r.
                        let mut scratch = vec![0.0; 2 * width];
                        for at in (0..rows).step_by(width) {
                            let row = at..at + width;
                            let given = Row {
                                decay: &decay,
                                x: &x[row.clone()],
                                update: &u[row.clone()],
                                d_y: &d_y[row.clone()],
                            };
                            let (d_x, d_u) = (&mut d_x[row.clone()], &mut d_u[row]);
                            given.backward(EPS, d_x, d_u, d_decay, &mut scratch);
                        }
                    },
                );
            },
        );
        let [d_a_log, d_dt_bias] = Coefficient::Decay.backward(a_log, dt_bias, &d_decay);
        OrthogonalTensors {
            x: d_x,
            update: d_u,
            a_log: d_a_log,
            dt_bias: d_dt_bias,
        }
    }
}

#[inline(always)]
pub(super) fn forward_row<T: Real>(decay: &[T], x: &[T], u: &[T], eps: T, y: &mut [T]) {
    for ((y, x), decay) in y.iter_mut().zip(x).zip(decay) {
        *y = *decay * *x;
    }
    let c = T::dot(y, u) / (T::dot(u, u) + eps);
    for (y, u) in y.iter_mut().zip(u) {
        *y = (*y - c * *u) + *u;
    }
}

/// The inputs of the backward pass of a row.
pub(super) struct Row<'a, T> {
    pub(super) decay: &'a [T],
    pub(super) x: &'a [T],
    pub(super) update: &'a [T],
    pub(super) d_y: &'a [T],
}

impl<T: Real> Row<'_, T> {
    /// Writes the gradients of x and u, and adds the row's contribution to `d_decay`.
    ///
    /// With `n = ‖u‖² + ε` and `d_c = −⟨d_y, u⟩`: `d_r = d_y + (d_c/n) u`,
    /// `d_u = (1 − c) d_y + (d_c/n)(r − 2c u)`, `d_x = decay ⊙ d_r`, `d_decay = d_r ⊙ x`.
    ///
    /// # Shapes
    ///
    /// `scratch`: `[2 · width]`; all others: `[width]`.
    #[inline(always)]
    pub(super) fn backward(
        &self,
        eps: T,
        d_x: &mut [T],
        d_u: &mut [T],
        d_decay: &mut [T],
        scratch: &mut [T],
    ) {
        let Self {
            decay,
            x,
            update: u,
            d_y,
        } = *self;
        let (kept, d_kept) = scratch.split_at_mut(x.len());
        for ((kept, x), decay) in kept.iter_mut().zip(x).zip(decay) {
            *kept = *decay * *x;
        }
        let n = T::dot(u, u) + eps;
        let c = T::dot(kept, u) / n;
        let along = -T::dot(d_y, u) / n;
        for ((d_kept, d_y), u) in d_kept.iter_mut().zip(d_y).zip(u) {
            *d_kept = *d_y + along * *u;
        }
        let twice = c + c;
        for (((d_u, d_y), kept), u) in d_u.iter_mut().zip(d_y).zip(&*kept).zip(u) {
            *d_u = (T::ONE - c) * *d_y + along * (*kept - twice * *u);
        }
        for ((((d_x, d_decay), d_kept), decay), x) in
            d_x.iter_mut().zip(d_decay).zip(&*d_kept).zip(decay).zip(x)
        {
            *d_x = *decay * *d_kept;
            *d_decay += *d_kept * *x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_state_has_along_the_update_is_replaced_by_the_update() {
        // The decay of both channels is 1/2, so r = (2, 3); u = (4, 0).
        let (x, u, zero) = ([4.0, 6.0], [4.0, 0.0], [0.0, 0.0]);
        let matrix = |values| Matrix::new(values, 1, 2);
        let y = Orthogonal.forward(&OrthogonalTensors {
            x: matrix(&x),
            update: matrix(&u),
            a_log: matrix(&zero),
            dt_bias: matrix(&zero),
        });
        assert!(
            (y[0] - 4.0).abs() < 1e-5 && (y[1] - 3.0).abs() < 1e-5,
            "{y:?}"
        );
    }
}
