//! Mixes state and embedding with one learned number α: `y = keep · x + α · e`, where keep is 1 or
//! `1 − α`.

use crate::matrix::Matrix;
use crate::real::Real;
use crate::rows::{for_rows, for_rows_with_sums};
use crate::vector::vectorized;

/// The factor of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// The factor is 1: `x + α e`.
    Sum,
    /// The factor is `1 − α`: `(1 − α) x + α e`.
    Mean,
}

/// The tensors of a [`Mix`], or other values in their places: `X` in the place of matrices with a
/// row per token, `V` in the place of the number α.
#[derive(Clone, Copy, Debug)]
pub struct MixTensors<X, V = X> {
    /// The state x, `[tokens, width]`.
    pub x: X,
    /// The embedding e, `[tokens, width]`.
    pub embedding: X,
    /// α, `[1]`.
    pub alpha: V,
}

impl Mix {
    /// Returns the factor of x.
    #[inline(always)]
    pub(super) fn keep<T: Real>(self, alpha: T) -> T {
        match self {
            Self::Sum => T::ONE,
            Self::Mean => T::ONE - alpha,
        }
    }

    /// Returns y, `[tokens, width]`.
    pub fn forward(self, tensors: &MixTensors<Matrix<'_>>) -> Vec<f32> {
        let [tokens, width] = tensors.x.shape();
        let (x, e) = (tensors.x.elements(), tensors.embedding.elements());
        let alpha = tensors.alpha.elements()[0];
        let mut y = vec![0.0; tokens * width];
        for_rows(&mut y, width, |first, y| {
            let (x, e) = (&x[first * width..], &e[first * width..]);
            vectorized(
                #[inline(always)]
                || self.forward_row(alpha, x, e, y),
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
        tensors: &MixTensors<Matrix<'_>>,
        d_y: Matrix<'_>,
    ) -> MixTensors<Vec<f32>> {
        let [tokens, width] = tensors.x.shape();
        let (x, e, d_y) = (
            tensors.x.elements(),
            tensors.embedding.elements(),
            d_y.elements(),
        );
        let alpha = tensors.alpha.elements()[0];
        let keep = self.keep(alpha);
        let mut d_e = vec![0.0; tokens * width];
        let d_alpha = for_rows_with_sums(&mut d_e, width, 1, |first, d_e, d_alpha| {
            let at = first * width;
            vectorized(
                #[inline(always)]
                || {
                    let rows = d_e.chunks_exact_mut(width).enumerate();
                    for (row, d_e) in rows {
                        let row = at + row * width..at + (row + 1) * width;
                        d_alpha[0] +=
                            self.d_alpha_row(&x[row.clone()], &e[row.clone()], &d_y[row.clone()]);
                        for (d_e, d_y) in d_e.iter_mut().zip(&d_y[row]) {
                            *d_e = alpha * *d_y;
                        }
                    }
                },
            );
        });
        let mut d_x = d_y.to_vec();
        if self == Self::Mean {
            for_rows(&mut d_x, width, |_, d_x| {
                vectorized(
                    #[inline(always)]
                    || d_x.iter_mut().for_each(|d| *d *= keep),
                );
            });
        }
        MixTensors {
            x: d_x,
            embedding: d_e,
            alpha: d_alpha,
        }
    }

    #[inline(always)]
    pub(super) fn forward_row<T: Real>(self, alpha: T, x: &[T], e: &[T], y: &mut [T]) {
        match self {
            Self::Sum => {
                for ((y, x), e) in y.iter_mut().zip(x).zip(e) {
                    *y = *x + alpha * *e;
                }
            }
            Self::Mean => {
                let keep = T::ONE - alpha;
                for ((y, x), e) in y.iter_mut().zip(x).zip(e) {
                    *y = keep * *x + alpha * *e;
                }
            }
        }
    }

    /// Returns a row's contribution to the gradient of α: `⟨d_y, e⟩`, minus `⟨d_y, x⟩` for
    /// [`Self::Mean`].
    #[inline(always)]
    pub(super) fn d_alpha_row<T: Real>(self, x: &[T], e: &[T], d_y: &[T]) -> T {
        match self {
            Self::Sum => T::dot(d_y, e),
            Self::Mean => T::dot(d_y, e) - T::dot(d_y, x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_embedding_is_added_or_takes_the_place_of_a_quarter_of_the_state() {
        let (x, e, alpha) = ([4.0, 0.0], [8.0, 4.0], [0.25]);
        let tensors = MixTensors {
            x: Matrix::new(&x, 1, 2),
            embedding: Matrix::new(&e, 1, 2),
            alpha: Matrix::new(&alpha, 1, 1),
        };
        let near = |found: Vec<f32>, expected: [f32; 2]| {
            found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-6)
        };
        assert!(near(Mix::Sum.forward(&tensors), [6.0, 1.0]));
        assert!(near(Mix::Mean.forward(&tensors), [5.0, 1.0]));
    }
}
