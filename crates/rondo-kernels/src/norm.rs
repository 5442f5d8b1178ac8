//! Root-mean-square norm (Zhang & Sennrich 2019, arXiv 1910.07467) of a tensor or of a sum.

use crate::product::Write;
use crate::rows::{for_rows, for_rows_of_two, for_rows_with_sums};
use crate::vector::{dot, dot_three, vectorized};

/// The norm `y = x · r ⊙ scale` with `r = 1 / √(mean(x²) + eps)` over the features of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// The number added to the mean square.
    pub eps: f32,
}

impl Norm {
    /// Writes the norm of each row of `x` into `out`. Without a scale, the scale counts as 1.
    ///
    /// # Shapes
    ///
    /// `scale`: `[width]`; `x`, `out`: `[rows, width]`.
    pub fn forward(self, scale: Option<&[f32]>, x: &[f32], width: usize, out: &mut [f32]) {
        for_rows(out, width, |first, out| {
            let x = &x[first * width..];
            vectorized(
                #[inline(always)]
                || {
                    for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                        self.row(scale, x, out);
                    }
                },
            );
        });
    }

    /// Adds `residual` to `x` in place and writes the norm of each row of the sum into `out`.
    ///
    /// # Shapes
    ///
    /// `scale`: `[width]`; `x`, `residual`, `out`: `[rows, width]`.
    pub fn forward_sum(
        self,
        scale: Option<&[f32]>,
        x: &mut [f32],
        residual: &[f32],
        width: usize,
        out: &mut [f32],
    ) {
        for_rows_of_two((x, width), (out, width), |first, x, out| {
            let residual = &residual[first * width..];
            vectorized(
                #[inline(always)]
                || {
                    let rows = x.chunks_exact_mut(width).zip(out.chunks_exact_mut(width));
                    for ((x, out), residual) in rows.zip(residual.chunks_exact(width)) {
                        for (x, residual) in x.iter_mut().zip(residual) {
                            *x += residual;
                        }
                        self.row(scale, x, out);
                    }
                },
            );
        });
    }

    /// Writes the gradient of `x`, or adds it, as `write` says; returns the gradient of the scale,
    /// if there is a scale.
    ///
    /// `d_x = r · (g − x · r² · mean(g ⊙ x))` with `g = d_out ⊙ scale`;
    /// `d_scale = Σ_rows d_out ⊙ x · r`.
    ///
    /// # Shapes
    ///
    /// `scale`: `[width]`; `x`, `d_out`, `d_x`: `[rows, width]`; the result: `[width]`.
    pub fn backward(
        self,
        scale: Option<&[f32]>,
        x: &[f32],
        d_out: &[f32],
        width: usize,
        d_x: &mut [f32],
        write: Write,
    ) -> Option<Vec<f32>> {
        let length = scale.map_or(0, <[f32]>::len);
        let d_scale = for_rows_with_sums(d_x, width, length, |first, d_x, d_scale| {
            let (x, d_out) = (&x[first * width..], &d_out[first * width..]);
            vectorized(
                #[inline(always)]
                || {
                    let rows = x.chunks_exact(width).zip(d_out.chunks_exact(width));
                    for ((x, d_out), d_x) in rows.zip(d_x.chunks_exact_mut(width)) {
                        self.row_backward(scale, x, d_out, d_x, write, d_scale);
                    }
                },
            );
        });
        scale.map(|_| d_scale)
    }

    #[inline(always)]
    fn inverse_root(self, x: &[f32]) -> f32 {
        1.0 / (dot(x, x) / x.len() as f32 + self.eps).sqrt()
    }

    #[inline(always)]
    fn row(self, scale: Option<&[f32]>, x: &[f32], out: &mut [f32]) {
        let r = self.inverse_root(x);
        match scale {
            Some(scale) => {
                for ((out, x), scale) in out.iter_mut().zip(x).zip(scale) {
                    *out = x * r * scale;
                }
            }
            None => {
                for (out, x) in out.iter_mut().zip(x) {
                    *out = x * r;
                }
            }
        }
    }

    #[inline(always)]
    fn row_backward(
        self,
        scale: Option<&[f32]>,
        x: &[f32],
        d_out: &[f32],
        d_x: &mut [f32],
        write: Write,
        d_scale: &mut [f32],
    ) {
        let r = self.inverse_root(x);
        let inner = match scale {
            Some(scale) => dot_three(x, d_out, scale),
            None => dot(x, d_out),
        };
        let along = inner * r * r * r / x.len() as f32;
        let put = |place: &mut f32, value: f32| match write {
            Write::Replace => *place = value,
            Write::Add => *place += value,
        };
        let rows = x.iter().zip(d_out).zip(d_x);
        match scale {
            Some(scale) => {
                for (((x, d_out), d_x), (scale, d_scale)) in rows.zip(scale.iter().zip(d_scale)) {
                    put(d_x, d_out * scale * r - x * along);
                    *d_scale += d_out * (x * r);
                }
            }
            None => {
                for ((x, d_out), d_x) in rows {
                    put(d_x, d_out * r - x * along);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_and_four_become_three_and_four_over_the_root_of_their_mean_square() {
        let (norm, scale) = (Norm { eps: 0.0 }, Some([1.0, 2.0].as_slice()));
        let mut out = [0.0; 2];
        norm.forward(scale, &[3.0, 4.0], 2, &mut out);
        let root = 12.5_f32.sqrt();
        assert!((out[0] - 3.0 / root).abs() < 1e-6 && (out[1] - 8.0 / root).abs() < 1e-6);
        let mut x = [1.0, 1.0];
        norm.forward_sum(scale, &mut x, &[2.0, 3.0], 2, &mut out);
        assert!((out[1] - 8.0 / root).abs() < 1e-6 && (x[1] - 4.0).abs() < 1e-6);
    }

    #[test]
    fn the_gradient_along_the_row_itself_vanishes() {
        let norm = Norm { eps: 0.0 };
        let (x, mut d_x) = ([1.0, -2.0, 0.5], [10.0; 3]);
        let d_scale = norm.backward(None, &x, &x, 3, &mut d_x, Write::Add);
        assert!(d_scale.is_none());
        assert!(d_x.iter().all(|d| (d - 10.0).abs() < 1e-6));
    }
}
