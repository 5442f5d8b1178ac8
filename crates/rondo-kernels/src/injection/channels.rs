//! A factor for each channel: `y = c ⊙ x + base`.
//!
//! The factor c is one of three functions of two learned numbers per channel, `A_log` and
//! `dt_bias`. The functions discretise the continuous linear system `ẋ = −a x + b` with the step Δ
//! (Parcae, arXiv 2604.12946):
//!
//! ```text
//! Δ = softplus(dt_bias)    a = exp(A_log)
//! decay = e^(−Δa)          step = Δ          hold = (1 − e^(−Δa)) / a
//! ```
//!
//! Parcae's rule is `decay ⊙ x + step ⊙ b`. With `hold` in place of `step`, the rule is the exact
//! solution for a `b` that is constant over the step (zero-order hold).

use crate::matrix::Matrix;
use crate::real::{Real, sigmoid, softplus};
use crate::rows::{for_rows, for_rows_with_sums};
use crate::vector::vectorized;

/// The function that computes the factor of a channel from the channel's two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coefficient {
    /// `e^(−Δa)`, which lies between 0 and 1.
    Decay,
    /// The step Δ.
    Step,
    /// `(1 − e^(−Δa)) / a`.
    Hold,
}

/// The operation `c ⊙ x + base`, without its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// The function that computes the factor c.
    pub coefficient: Coefficient,
}

/// The tensors of [`Channels`], or other values in their places: `X` in the place of matrices with
/// a row per token, `V` in the place of vectors with a number per channel.
#[derive(Clone, Copy, Debug)]
pub struct ChannelsTensors<X, V = X> {
    /// The input x, `[tokens, width]`.
    pub x: X,
    /// The base, `[tokens, width]`; `None` if nothing is added.
    pub base: Option<X>,
    /// The logarithm of `a`, `[width]`.
    pub a_log: V,
    /// The number whose softplus is Δ, `[width]`.
    pub dt_bias: V,
}

impl Coefficient {
    /// Returns the factor c of a channel.
    pub(super) fn value<T: Real>(self, a_log: T, dt_bias: T) -> T {
        let (delta, a) = (softplus(dt_bias), a_log.exp());
        match self {
            Self::Decay => (-(delta * a)).exp(),
            Self::Step => delta,
            Self::Hold => -(-(delta * a)).exp_m1() / a,
        }
    }

    /// Returns the derivatives of c with respect to the channel's `A_log` and `dt_bias`.
    pub(super) fn derivatives<T: Real>(self, a_log: T, dt_bias: T) -> [T; 2] {
        let (delta, a) = (softplus(dt_bias), a_log.exp());
        let (decay, of_delta) = ((-(delta * a)).exp(), sigmoid(dt_bias));
        match self {
            Self::Decay => [-(delta * a * decay), -(a * decay * of_delta)],
            Self::Step => [T::ZERO, of_delta],
            Self::Hold => [delta * decay - self.value(a_log, dt_bias), decay * of_delta],
        }
    }

    /// Returns the factor c of every channel.
    pub(super) fn values<T: Real>(self, a_log: &[T], dt_bias: &[T]) -> Vec<T> {
        let channels = a_log.iter().zip(dt_bias);
        channels.map(|(a, dt)| self.value(*a, *dt)).collect()
    }

    /// Returns the gradients of `A_log` and `dt_bias`, given the gradient of c.
    pub(super) fn backward<T: Real>(self, a_log: &[T], dt_bias: &[T], d_c: &[T]) -> [Vec<T>; 2] {
        let each = |which: usize| {
            let channels = a_log.iter().zip(dt_bias).zip(d_c);
            channels
                .map(|((a, dt), d)| *d * self.derivatives(*a, *dt)[which])
                .collect()
        };
        [each(0), each(1)]
    }
}

impl Channels {
    /// Returns y, `[tokens, width]`.
    pub fn forward(self, tensors: &ChannelsTensors<Matrix<'_>>) -> Vec<f32> {
        let [tokens, width] = tensors.x.shape();
        let c = self
            .coefficient
            .values(tensors.a_log.elements(), tensors.dt_bias.elements());
        let x = tensors.x.elements();
        let base = tensors.base.map(|base| base.elements());
        let mut y = vec![0.0; tokens * width];
        for_rows(&mut y, width, |first, y| {
            let x = &x[first * width..];
            let base = base.map(|base| &base[first * width..]);
            vectorized(
                #[inline(always)]
                || {
                    for (row, (y, x)) in y
                        .chunks_exact_mut(width)
                        .zip(x.chunks_exact(width))
                        .enumerate()
                    {
                        let base = base.map(|base| &base[row * width..(row + 1) * width]);
                        forward_row(&c, x, base, y);
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
        tensors: &ChannelsTensors<Matrix<'_>>,
        d_y: Matrix<'_>,
    ) -> ChannelsTensors<Vec<f32>> {
        let [tokens, width] = tensors.x.shape();
        let (a_log, dt_bias) = (tensors.a_log.elements(), tensors.dt_bias.elements());
        let c = self.coefficient.values(a_log, dt_bias);
        let (x, d_y) = (tensors.x.elements(), d_y.elements());
        let mut d_x = vec![0.0; tokens * width];
        let d_c = for_rows_with_sums(&mut d_x, width, width, |first, d_x, d_c| {
            let (x, d_y) = (&x[first * width..], &d_y[first * width..]);
            vectorized(
                #[inline(always)]
                || {
                    let rows = x.chunks_exact(width).zip(d_y.chunks_exact(width));
                    for ((x, d_y), d_x) in rows.zip(d_x.chunks_exact_mut(width)) {
                        backward_row(&c, x, d_y, d_x, d_c);
                    }
                },
            );
        });
        let [d_a_log, d_dt_bias] = self.coefficient.backward(a_log, dt_bias, &d_c);
        ChannelsTensors {
            x: d_x,
            base: tensors.base.map(|_| d_y.to_vec()),
            a_log: d_a_log,
            dt_bias: d_dt_bias,
        }
    }
}

#[inline(always)]
pub(super) fn forward_row<T: Real>(c: &[T], x: &[T], base: Option<&[T]>, y: &mut [T]) {
    match base {
        Some(base) => {
            for (((y, x), c), base) in y.iter_mut().zip(x).zip(c).zip(base) {
                *y = *c * *x + *base;
            }
        }
        None => {
            for ((y, x), c) in y.iter_mut().zip(x).zip(c) {
                *y = *c * *x;
            }
        }
    }
}

/// Writes the gradient of x and adds the row's contribution to `d_c`.
#[inline(always)]
pub(super) fn backward_row<T: Real>(c: &[T], x: &[T], d_y: &[T], d_x: &mut [T], d_c: &mut [T]) {
    for ((((d_x, d_c), x), d_y), c) in d_x.iter_mut().zip(d_c).zip(x).zip(d_y).zip(c) {
        *d_x = *c * *d_y;
        *d_c += *d_y * *x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_with_rate_one_and_step_ln_2_halves_its_state() {
        // softplus(0) = ln 2, so decay and hold are both 1/2.
        let (zero, x, base) = ([0.0], [4.0], [1.0]);
        let matrix = |values| Matrix::new(values, 1, 1);
        let tensors = ChannelsTensors {
            x: matrix(&x),
            base: Some(matrix(&base)),
            a_log: matrix(&zero),
            dt_bias: matrix(&zero),
        };
        for (coefficient, expected) in [
            (Coefficient::Decay, 3.0),
            (Coefficient::Hold, 3.0),
            (Coefficient::Step, 4.0 * 2.0_f32.ln() + 1.0),
        ] {
            let y = Channels { coefficient }.forward(&tensors);
            assert!((y[0] - expected).abs() < 1e-6, "{y:?}");
        }
    }

    #[test]
    fn a_long_step_forgets_the_state_and_holds_the_input_over_its_rate() {
        // a = 2, Δ = 40: the decay is e^−80, and the hold tends to 1/a.
        let (a_log, dt_bias) = (2.0_f64.ln(), 40.0);
        assert!(Coefficient::Decay.value(a_log, dt_bias) < 1e-30);
        assert!((Coefficient::Hold.value(a_log, dt_bias) - 0.5).abs() < 1e-12);
    }
}
