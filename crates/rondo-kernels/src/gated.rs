//! The gated SiLU `SiLU(a) ⊙ b` (Shazeer 2020, arXiv 2002.05202); `a` is the first half of a row,
//! and `b` is the second half.

use crate::rows::{for_rows, for_rows_of_two};
use crate::vector::{sigmoid, vectorized};

/// Writes `SiLU(a) ⊙ b` into `out`.
///
/// # Shapes
///
/// `both`: `[rows, 2·d_ff]`, `a` before `b`; `out`: `[rows, d_ff]`.
pub fn forward(both: &[f32], d_ff: usize, out: &mut [f32]) {
    for_rows(out, d_ff, |first, out| {
        let both = &both[first * 2 * d_ff..];
        vectorized(
            #[inline(always)]
            || {
                let rows = both.chunks_exact(2 * d_ff).zip(out.chunks_exact_mut(d_ff));
                for (both, out) in rows {
                    let (a, b) = both.split_at(d_ff);
                    for ((out, &a), b) in out.iter_mut().zip(a).zip(b) {
                        *out = a * sigmoid(a) * b;
                    }
                }
            },
        );
    });
}

/// Writes the gradients of `a` and `b`. Replaces the gradient of `h = SiLU(a) ⊙ b` by `h` itself,
/// because the gradient of the matrix after `h` needs `h`.
///
/// `d_a = d_h · b · σ(a) · (1 + a · (1 − σ(a)))`, `d_b = d_h · SiLU(a)`.
///
/// # Shapes
///
/// `both`, `d_both`: `[rows, 2·d_ff]`, `a` before `b`; `d_h`: `[rows, d_ff]`.
pub fn backward(both: &[f32], d_ff: usize, d_both: &mut [f32], d_h: &mut [f32]) {
    for_rows_of_two((d_both, 2 * d_ff), (d_h, d_ff), |first, d_both, d_h| {
        let both = &both[first * 2 * d_ff..];
        vectorized(
            #[inline(always)]
            || {
                let rows = both
                    .chunks_exact(2 * d_ff)
                    .zip(d_both.chunks_exact_mut(2 * d_ff))
                    .zip(d_h.chunks_exact_mut(d_ff));
                for ((both, d_both), d_h) in rows {
                    let (a, b) = both.split_at(d_ff);
                    let (d_a, d_b) = d_both.split_at_mut(d_ff);
                    for i in 0..d_ff {
                        let (a, b, d) = (a[i], b[i], d_h[i]);
                        let sigma = sigmoid(a);
                        let silu = a * sigma;
                        d_a[i] = d * b * sigma * (1.0 + a * (1.0 - sigma));
                        d_b[i] = d * silu;
                        d_h[i] = silu * b;
                    }
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_is_half_open_at_zero_and_open_far_above() {
        let mut out = [0.0; 2];
        forward(&[0.0, 40.0, 3.0, 0.5], 2, &mut out);
        assert!(out[0].abs() < 1e-12 && (out[1] - 20.0).abs() < 1e-5);
        let (mut d_both, mut d_h) = ([0.0; 4], [1.0; 2]);
        backward(&[0.0, 40.0, 3.0, 0.5], 2, &mut d_both, &mut d_h);
        // The first two numbers are d_a = b σ(a) (1 + a (1 − σ(a))), the last two are d_b =
        // SiLU(a).
        let expected = [1.5, 0.5, 0.0, 40.0];
        assert!(
            d_both
                .iter()
                .zip(expected)
                .all(|(d, e)| (d - e).abs() < 1e-5)
        );
        assert!(d_h.iter().zip(out).all(|(h, out)| (h - out).abs() < 1e-6));
    }
}
