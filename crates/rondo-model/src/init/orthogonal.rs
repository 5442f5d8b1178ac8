//! Orthogonal matrices, single or side by side in one parameter.

use rand::Rng;
use rayon::prelude::*;

use super::truncated_normal;

/// The matrices that are side by side in one parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fusion {
    /// One matrix.
    None,
    /// Two matrices of equal width: the halves of a gated MLP's first matrix.
    Halves,
    /// Q, K and V of an attention layer.
    Attention {
        /// The number of columns of Q.
        queries: usize,
        /// The number of columns of K, which is also the number of columns of V.
        keys: usize,
    },
}

impl Fusion {
    /// Returns the widths of the matrices that share `cols` columns, from left to right.
    pub fn widths(self, cols: usize) -> Vec<usize> {
        match self {
            Self::None => vec![cols],
            Self::Halves => vec![cols / 2; 2],
            Self::Attention { queries, keys } => vec![queries, keys, keys],
        }
    }

    /// Draws a parameter `[rows, cols]`, row major. Each matrix in the parameter is orthogonal by
    /// itself. The root mean square of the elements is `std`.
    pub(super) fn orthogonal(
        self,
        [rows, cols]: [usize; 2],
        std: f64,
        rng: &mut impl Rng,
    ) -> Vec<f32> {
        let mut all = vec![0.0; rows * cols];
        let mut first = 0;
        for width in self.widths(cols) {
            let gain = gain(std, rows, width);
            let part = orthogonal(rows, width, gain, rng);
            for (row, part) in all.chunks_mut(cols).zip(part.chunks(width)) {
                row[first..first + width].copy_from_slice(part);
            }
            first += width;
        }
        all
    }
}

/// Returns the singular value for which the elements of an orthogonal matrix have the root mean
/// square `std`: `std·√max(rows, cols)`.
fn gain(std: f64, rows: usize, cols: usize) -> f64 {
    std * (rows.max(cols) as f64).sqrt()
}

/// Returns `gain` times a `[rows, cols]` matrix whose rows are orthonormal, or whose columns are
/// orthonormal if there are more rows than columns. Modified Gram–Schmidt makes truncated normal
/// vectors orthonormal. Every vector goes through this step twice, so that only rounding errors
/// remain.
fn orthogonal(rows: usize, cols: usize, gain: f64, rng: &mut impl Rng) -> Vec<f32> {
    let (short, long) = (rows.min(cols), rows.max(cols));
    let mut vectors: Vec<Vec<f64>> = (0..short)
        .map(|_| (0..long).map(|_| truncated_normal(rng)).collect())
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    for current in 0..short {
        let (done, rest) = vectors.split_at_mut(current);
        let vector = &mut rest[0];
        for _ in 0..2 {
            let along: Vec<f64> = done.par_iter().map(|other| dot(other, vector)).collect();
            for (other, along) in done.iter().zip(along) {
                vector
                    .iter_mut()
                    .zip(other)
                    .for_each(|(x, o)| *x -= along * o);
            }
        }
        let length = dot(vector, vector).sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
    }
    let at = |row: usize, col: usize| {
        if rows <= cols {
            vectors[row][col]
        } else {
            vectors[col][row]
        }
    };
    (0..rows * cols)
        .map(|i| (gain * at(i / cols, i % cols)) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Stream, generator};

    /// Returns the squared singular values of the columns `first..first + width` of a row-major
    /// matrix with `cols` columns. They are the diagonal of the smaller Gram matrix.
    ///
    /// Panics if an off-diagonal element is not 0, because then the diagonal does not hold the
    /// squared singular values.
    fn squared_singular_values(all: &[f32], cols: usize, first: usize, width: usize) -> Vec<f64> {
        let rows = all.len() / cols;
        let at = |row: usize, col: usize| f64::from(all[row * cols + first + col]);
        let (short, long) = (rows.min(width), rows.max(width));
        let element = |side: usize, along: usize| match rows <= width {
            true => at(side, along),
            false => at(along, side),
        };
        let gram =
            |a: usize, b: usize| -> f64 { (0..long).map(|i| element(a, i) * element(b, i)).sum() };
        for a in 0..short {
            for b in 0..a {
                assert!(gram(a, b).abs() < 1e-6, "({a}, {b}): {}", gram(a, b));
            }
        }
        (0..short).map(|a| gram(a, a)).collect()
    }

    /// Asserts that the `width` columns from `first` on are orthogonal with singular values
    /// `expected`.
    fn check(all: &[f32], cols: usize, first: usize, width: usize, expected: f64) {
        let squares = squared_singular_values(all, cols, first, width);
        assert_eq!(squares.len(), width.min(all.len() / cols));
        for square in squares {
            let found = square.sqrt();
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
    }

    #[test]
    fn one_matrix_has_singular_values_of_std_times_the_root_of_its_longer_side() {
        for [rows, cols] in [[3, 7], [7, 3], [5, 5], [1, 4]] {
            let mut rng = generator(0, Stream::Weights, 0);
            let m = Fusion::None.orthogonal([rows, cols], 0.5, &mut rng);
            let longer = rows.max(cols) as f64;
            check(&m, cols, 0, cols, 0.5 * longer.sqrt());
        }
    }

    #[test]
    fn queries_keys_values_and_halves_have_the_singular_values_of_the_reference() {
        // At width 256 and inner width 704, the singular values of the reference are 0.6325 for Q,
        // K and V, and 1.0488 for each half of a gated MLP.
        let std = (2.0 / (5.0 * 256.0_f64)).sqrt();
        let mut rng = generator(0, Stream::Weights, 0);
        let all = Fusion::Attention {
            queries: 256,
            keys: 256,
        };
        let qkv = all.orthogonal([256, 768], std, &mut rng);
        for first in [0, 256, 512] {
            check(&qkv, 768, first, 256, 0.4_f64.sqrt());
        }
        let mlp = Fusion::Halves.orthogonal([256, 1408], std, &mut rng);
        for first in [0, 704] {
            check(&mlp, 1408, first, 704, 1.1_f64.sqrt());
        }
    }

    #[test]
    fn keys_and_values_of_fewer_heads_are_orthogonal_too() {
        let fusion = Fusion::Attention {
            queries: 12,
            keys: 4,
        };
        let mut rng = generator(0, Stream::Weights, 0);
        let qkv = fusion.orthogonal([12, 20], 1.0, &mut rng);
        for (first, width) in [(0, 12), (12, 4), (16, 4)] {
            check(&qkv, 20, first, width, 12.0_f64.sqrt());
        }
    }

    #[test]
    fn halves_narrower_than_their_input_are_orthogonal_too() {
        // An MLP that injects the embedding has such halves, because its input is twice as wide.
        let mut rng = generator(0, Stream::Weights, 0);
        let mlp = Fusion::Halves.orthogonal([16, 20], 1.0, &mut rng);
        for first in [0, 10] {
            check(&mlp, 20, first, 10, 4.0);
        }
    }
}
