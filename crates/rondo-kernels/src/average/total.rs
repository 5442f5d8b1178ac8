//! The logarithm L of the sum of the weights so far: `L ← ln(β e^L + e^s)`.

use super::{EPS, Score};
use crate::matrix::Matrix;
use crate::real::{Real, sigmoid, softplus};
use crate::rows::{for_numbers, for_rows_of_two_with_sums};
use crate::vector::vectorized;

/// β, the factor by which earlier weights shrink with each iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Forgetting {
    /// A constant from 0 to 1.
    Fixed(f32),
    /// The logistic function of a learned number.
    Learned,
}

impl Forgetting {
    /// Returns `ln β` and its derivative with respect to the learned number. The derivative is 0
    /// for a fixed β.
    pub(super) fn logarithm<T: Real>(fixed: T, learned: Option<T>) -> [T; 2] {
        match learned {
            Some(number) => [-softplus(-number), sigmoid(-number)],
            None => [fixed.ln(), T::ZERO],
        }
    }
}

/// The update `ln(β e^L + e^s)`, without its tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Total {
    /// Where β comes from.
    pub forgetting: Forgetting,
}

/// The tensors of a [`Total`], or other values in their places: `X` in the place of matrices with a
/// row per token, `V` in the place of vectors.
#[derive(Clone, Copy, Debug)]
pub struct TotalTensors<X, V = X> {
    /// The output z of the iteration, `[tokens, width]`.
    pub z: X,
    /// The earlier L, `[tokens, 1]`; `None` in the first iteration.
    pub past: Option<X>,
    /// The learned vector q, `[width]`.
    pub query: V,
    /// The learned number that gives β, `[1]`; `None` if β is fixed.
    pub beta: Option<V>,
}

impl Total {
    /// Returns the new L, `[tokens, 1]`.
    pub fn forward(self, tensors: &TotalTensors<Matrix<'_>>) -> Vec<f32> {
        let [tokens, width] = tensors.z.shape();
        let (q, z) = (tensors.query.elements(), tensors.z.elements());
        let past = tensors.past.map(|past| past.elements());
        let [log_beta, _] = self.log_beta(tensors);
        let mut total = vec![0.0; tokens];
        for_numbers(&mut total, width, |first, total| {
            vectorized(
                #[inline(always)]
                || {
                    for (row, total) in (first..).zip(total) {
                        let z = &z[row * width..(row + 1) * width];
                        *total = forward_row(q, z, past.map(|past| past[row]), log_beta, EPS);
                    }
                },
            );
        });
        total
    }

    /// Returns the gradient of every tensor.
    ///
    /// # Shapes
    ///
    /// `d_total`: `[tokens, 1]`.
    pub fn backward(
        self,
        tensors: &TotalTensors<Matrix<'_>>,
        d_total: Matrix<'_>,
    ) -> TotalTensors<Vec<f32>> {
        let [tokens, width] = tensors.z.shape();
        let (q, z) = (tensors.query.elements(), tensors.z.elements());
        let past = tensors.past.map(|past| past.elements());
        let [log_beta, of_number] = self.log_beta(tensors);
        let d_total = d_total.elements();
        let (mut d_z, mut d_past) = (vec![0.0; tokens * width], vec![0.0; tokens]);
        // The last element of the sums is the gradient of ln β.
        let mut sums = for_rows_of_two_with_sums(
            (&mut d_z, width),
            (&mut d_past, 1),
            width + 1,
            |first, d_z, d_past, sums| {
                let (d_q, d_log_beta) = sums.split_at_mut(width);
                vectorized(
                    #[inline(always)]
                    || {
                        let rows = (first..).zip(d_z.chunks_exact_mut(width)).zip(d_past);
                        for ((row, d_z), d_past) in rows {
                            let z = &z[row * width..(row + 1) * width];
                            let past = past.map(|past| past[row]);
                            *d_past =
                                backward_row(q, z, past, [log_beta, d_total[row], EPS], d_z, d_q);
                            d_log_beta[0] += *d_past;
                        }
                    },
                );
            },
        );
        let d_log_beta = sums.pop().unwrap_or_default();
        TotalTensors {
            z: d_z,
            past: past.map(|_| d_past),
            query: sums,
            beta: tensors.beta.map(|_| vec![d_log_beta * of_number]),
        }
    }

    fn log_beta(self, tensors: &TotalTensors<Matrix<'_>>) -> [f32; 2] {
        let fixed = match self.forgetting {
            Forgetting::Fixed(beta) => beta,
            Forgetting::Learned => 0.0,
        };
        let learned = tensors.beta.map(|beta| beta.elements()[0]);
        Forgetting::logarithm(fixed, learned)
    }
}

/// Returns `ln(β e^L + e^s)` for one token.
#[inline(always)]
pub(super) fn forward_row<T: Real>(q: &[T], z: &[T], past: Option<T>, log_beta: T, eps: T) -> T {
    let score = Score::of(q, z, eps).value;
    past.map_or(score, |past| log_sum(log_beta + past, score))
}

/// Writes the gradient of z and adds the token's contribution to the gradient of q. Returns the
/// gradient of the earlier L, which is also the gradient of ln β; it is 0 if there is no earlier L.
///
/// With L' the new sum, `p = e^(ln β + L − L')` is the share of the old weights and `1 − p` the
/// share of the new weight: `d_L = p d_L'`, `d_s = (1 − p) d_L'`.
#[inline(always)]
pub(super) fn backward_row<T: Real>(
    q: &[T],
    z: &[T],
    past: Option<T>,
    [log_beta, d_total, eps]: [T; 3],
    d_z: &mut [T],
    d_q: &mut [T],
) -> T {
    let score = Score::of(q, z, eps);
    let old = past.map_or(T::ZERO, |past| sigmoid(log_beta + past - score.value));
    d_z.fill(T::ZERO);
    score.backward((T::ONE - old) * d_total, q, z, d_z, d_q);
    old * d_total
}

/// Returns `ln(e^a + e^b)`.
#[inline(always)]
fn log_sum<T: Real>(a: T, b: T) -> T {
    let larger = if a > b { a } else { b };
    larger + (-(a - b).abs()).exp().ln_1p()
}
