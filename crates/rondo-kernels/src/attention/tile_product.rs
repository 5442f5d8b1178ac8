//! Products of matrices that are small enough to stay in the cache.
//!
//! [`crate::product::product`] allocates memory and copies its factors into another layout, which
//! at these sizes costs as much as the arithmetic. The product here reads the right factor in
//! place, one register at a time, and copies nothing. Every element is summed in the order of the
//! inner dimension, whatever the width of a register.

use pulp::{Simd, WithSimd};

use crate::matrix::{Matrix, MatrixMut};
use crate::product::Write;
use crate::vector::with_simd;

/// The left factor of a product.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    /// The matrix as stored, `[m, k]`.
    Plain(Matrix<'a>),
    /// The transpose of a matrix that is stored as `[k, m]`.
    Transposed(Matrix<'a>),
}

/// Writes `scale · left · right` into `out`, or adds it, as `write` says.
///
/// # Shapes
///
/// `out`: `[m, n]`; `left`: `[m, k]`; `right`: `[k, n]`. The rows of all three are contiguous.
pub(super) fn tile_product(
    out: MatrixMut<'_>,
    write: Write,
    scale: f32,
    left: Left<'_>,
    right: Matrix<'_>,
) {
    let left_shape = match left {
        Left::Plain(left) => left.shape(),
        Left::Transposed(left) => left.transposed().shape(),
    };
    assert_eq!(
        (left_shape, right.shape()[1]),
        ([out.shape()[0], right.shape()[0]], out.shape()[1]),
    );
    with_simd(Product {
        out,
        write,
        scale,
        left,
        right,
    });
}

struct Product<'a> {
    out: MatrixMut<'a>,
    write: Write,
    scale: f32,
    left: Left<'a>,
    right: Matrix<'a>,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [_, cols] = self.out.shape();
        let mut col = 0;
        // 6 rows of 4 registers need 29 registers, 6 rows of 2 need 15.
        while S::REGISTER_COUNT >= 32 && col + 4 * S::F32_LANES <= cols {
            self.strip::<S, 4>(simd, col, 4 * S::F32_LANES);
            col += 4 * S::F32_LANES;
        }
        while col + 2 * S::F32_LANES <= cols {
            self.strip::<S, 2>(simd, col, 2 * S::F32_LANES);
            col += 2 * S::F32_LANES;
        }
        while col < cols {
            let width = S::F32_LANES.min(cols - col);
            self.strip::<S, 1>(simd, col, width);
            col += width;
        }
    }
}

impl Product<'_> {
    /// Computes `width` columns from column `col` on. A row of these columns fills `V` registers.
    #[inline(always)]
    fn strip<S: Simd, const V: usize>(&mut self, simd: S, col: usize, width: usize) {
        let [rows, _] = self.out.shape();
        let mut row = 0;
        while row + 6 <= rows {
            self.block::<S, 6, V>(simd, row, col, width);
            row += 6;
        }
        while row + 4 <= rows {
            self.block::<S, 4, V>(simd, row, col, width);
            row += 4;
        }
        while row < rows {
            self.block::<S, 1, V>(simd, row, col, width);
            row += 1;
        }
    }

    /// Computes `R` rows of a strip of columns.
    #[inline(always)]
    fn block<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        col: usize,
        width: usize,
    ) {
        let mut sums = [[simd.splat_f32s(0.0); V]; R];
        let [inner, _] = self.right.shape();
        match self.left {
            Left::Plain(left) => {
                let left: [&[f32]; R] = std::array::from_fn(|r| &left.row(row + r)[..inner]);
                for k in 0..inner {
                    let right = load(simd, &self.right.row(k)[col..col + width]);
                    for (sums, left) in sums.iter_mut().zip(left) {
                        multiply_add(simd, sums, left[k], right);
                    }
                }
            }
            Left::Transposed(left) => {
                for k in 0..inner {
                    let right = load(simd, &self.right.row(k)[col..col + width]);
                    let left = &left.row(k)[row..row + R];
                    for (sums, left) in sums.iter_mut().zip(left) {
                        multiply_add(simd, sums, *left, right);
                    }
                }
            }
        }
        let scale = simd.splat_f32s(self.scale);
        for (r, sums) in sums.iter_mut().enumerate() {
            let out = &mut self.out.row(row + r)[col..col + width];
            let before: [S::f32s; V] = match self.write {
                Write::Replace => [simd.splat_f32s(0.0); V],
                Write::Add => load(simd, out),
            };
            for (sum, before) in sums.iter_mut().zip(before) {
                *sum = simd.mul_add_e_f32s(scale, *sum, before);
            }
            match S::as_mut_simd_f32s(out) {
                (whole, []) => whole.copy_from_slice(sums),
                (_, part) => simd.partial_store_f32s(part, sums[0]),
            }
        }
    }
}

/// Loads `V` registers. If `V` is 1, the row may fill only a part of the register.
#[inline(always)]
fn load<S: Simd, const V: usize>(simd: S, row: &[f32]) -> [S::f32s; V] {
    match S::as_simd_f32s(row) {
        (whole, []) => std::array::from_fn(|v| whole[v]),
        (_, part) => [simd.partial_load_f32s(part); V],
    }
}

/// Adds `x · right` to the sums.
#[inline(always)]
fn multiply_add<S: Simd, const V: usize>(
    simd: S,
    sums: &mut [S::f32s; V],
    x: f32,
    right: [S::f32s; V],
) {
    let x = simd.splat_f32s(x);
    for (sum, right) in sums.iter_mut().zip(right) {
        *sum = simd.mul_add_e_f32s(x, right, *sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_every_small_size_are_those_of_schoolbook() {
        let a: Vec<f32> = (0..20 * 20).map(|i| (i * 7 % 11) as f32).collect();
        let b: Vec<f32> = (0..20 * 200).map(|i| (i * 5 % 13) as f32).collect();
        let (a, b) = (Matrix::new(&a, 20, 20), Matrix::new(&b, 20, 200));
        for m in [1, 3, 4, 6, 17] {
            for n in [1, 5, 16, 31, 48, 64, 117] {
                for k in [1, 2, 19] {
                    let plain = Left::Plain(a.rows(1..m + 1).columns(0..k));
                    let transposed = Left::Transposed(a.rows(0..k).columns(1..m + 1));
                    for (left, is_plain) in [(plain, true), (transposed, false)] {
                        let mut out = vec![1.0; m * n];
                        let right = b.rows(0..k).columns(2..n + 2);
                        let into = MatrixMut::new(&mut out, m, n);
                        tile_product(into, Write::Add, 2.0, left, right);
                        for (i, out) in out.iter().enumerate() {
                            let (row, col) = (i / n + 1, i % n + 2);
                            let left = |k: usize| match is_plain {
                                true => a.row(row)[k],
                                false => a.row(k)[row],
                            };
                            let sum: f32 = (0..k).map(|k| left(k) * b.row(k)[col]).sum();
                            // Small whole numbers are exact.
                            assert_eq!(out.to_bits(), (1.0 + 2.0 * sum).to_bits());
                        }
                    }
                }
            }
        }
    }
}
