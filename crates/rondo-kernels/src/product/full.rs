//! Products of f32, by the gemm crate.

use gemm::Parallelism;

use super::Write;
use crate::matrix::{Matrix, MatrixMut};

/// Writes or adds `a · b`; the shapes fit.
pub(super) fn multiply(out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
    let ([m, k], [_, n]) = (a.shape(), b.shape());
    let (start, row_stride) = out.destination();
    let ((a, [a_rows, a_cols]), (b, [b_rows, b_cols])) = (a.layout(), b.layout());
    let stride = |stride: usize| stride as isize;
    // SAFETY: the three views lie in slices that are borrowed for this call, `out` for writing and
    // disjoint from the others, and the shapes fit. A product that replaces does not read `out`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            start,
            1,
            stride(row_stride),
            write == Write::Add,
            a,
            stride(a_cols),
            stride(a_rows),
            b,
            stride(b_cols),
            stride(b_rows),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::Rayon(0),
        );
    }
}
