//! Products of f32, by the gemm crate.
//!
//! A product is cut into as many pieces as there are threads, and each thread multiplies one by itself:
//! gemm's own threads wait for each other at every run of sums and took 7 to 24 % longer (configs/LOG.md).
//! gemm adds an element's products in an order that depends on their number alone, so the
//! bits do not depend on the pieces.

use gemm::Parallelism;
use rayon::{current_num_threads, join};

use super::Write;
use crate::matrix::{Matrix, MatrixMut};

/// Multiplications that are worth handing to another thread.
const WORK: usize = 1 << 22;

/// Rows or columns of a piece, at least. Up to 64 of both gemm adds in another order.
const LEAST: usize = 128;

/// Rows and columns of a product that is cut, at least. gemm has other ways for vectors, and for up to
/// 256 elements.
const THIN: usize = 3;

/// Rows and columns are cut at multiples of this, where gemm has whole tiles.
const GRAIN: usize = 32;

/// Writes or adds `a · b`; the shapes fit.
pub(super) fn multiply(out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
    multiply_in(current_num_threads(), out, write, a, b);
}

/// As [`multiply`], in at most so many pieces: columns are cut first, since gemm packs the columns of
/// `b` that a piece has, and pieces of the same columns would pack them twice.
fn multiply_in(pieces: usize, out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
    let ([m, k], [_, n]) = (a.shape(), b.shape());
    let (first, rest) = (pieces.div_ceil(2), pieces / 2);
    let cut = |length: usize| {
        let at = (length * first / pieces).next_multiple_of(GRAIN);
        (at >= LEAST && at + LEAST <= length).then_some(at)
    };
    if rest == 0 || m.min(n) < THIN || m * n * k < WORK {
        multiply_whole(out, write, a, b);
    } else if let Some(at) = cut(n) {
        let (left, right) = out.split_columns_at(at);
        join(
            || multiply_in(first, left, write, a, b.columns(0..at)),
            || multiply_in(rest, right, write, a, b.columns(at..n)),
        );
    } else if let Some(at) = cut(m) {
        let (upper, lower) = out.split_rows_at(at);
        join(
            || multiply_in(first, upper, write, a.rows(0..at), b),
            || multiply_in(rest, lower, write, a.rows(at..m), b),
        );
    } else {
        multiply_whole(out, write, a, b);
    }
}

/// Writes or adds `a · b` on this thread.
fn multiply_whole(out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
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
            Parallelism::None,
        );
    }
}
