//! Products of f32, by the gemm crate.
//!
//! A product is cut into as many pieces as there are threads, and each thread multiplies one piece
//! alone. gemm's own threads wait for each other at every block of the sums and took 7 to 24 %
//! longer (configs/LOG.md). The order in which gemm adds the terms of an element depends on their
//! number and on the class of the result's size, [`Order`]. A piece has the class of the whole
//! product, so the bits do not depend on the pieces.

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;

use gemm::Parallelism;
use rayon::current_num_threads;

use super::Write;
use crate::awake::join;
use crate::matrix::{Matrix, MatrixMut};

/// The number of multiplications that makes another thread worthwhile: about 30 µs of one thread.
const WORK: usize = 1 << 20;

/// Rows and columns are cut at multiples of this, because gemm uses whole tiles there. No piece has
/// fewer rows or columns.
const GRAIN: usize = 32;

/// Writes or adds `a · b`; the shapes fit.
pub(super) fn multiply(out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
    let threads = current_num_threads();
    #[cfg(target_arch = "x86_64")]
    if let Some(avx2) = avx2::Avx2::if_limited() {
        return multiply_in(threads, avx2.whole(), out, write, a, b);
    }
    multiply_in(threads, multiply_whole, out, write, a, b);
}

/// Writes or adds a product in at most `pieces` pieces; `whole` multiplies each of them. The longer
/// side of the result is cut first, so that the pieces read as little as possible of the same
/// numbers.
pub(super) fn multiply_in(
    pieces: usize,
    whole: impl Fn(MatrixMut<'_>, Write, Matrix<'_>, Matrix<'_>) + Copy + Send + Sync,
    out: MatrixMut<'_>,
    write: Write,
    a: Matrix<'_>,
    b: Matrix<'_>,
) {
    let ([m, k], [_, n]) = (a.shape(), b.shape());
    let (first, rest) = (pieces.div_ceil(2), pieces / 2);
    let cut = |length: usize, other: usize| {
        let at = (length * first / pieces).next_multiple_of(GRAIN);
        let is_alike = |piece| Order::of(piece, other) == Order::of(length, other);
        let is_possible = at + GRAIN <= length && is_alike(at) && is_alike(length - at);
        is_possible.then_some(at)
    };
    let is_small = rest == 0 || m * n * k < WORK;
    match (is_small, cut(m, n), cut(n, m)) {
        (false, Some(at), columns) if m >= n || columns.is_none() => {
            let (upper, lower) = out.split_rows_at(at);
            join(
                || multiply_in(first, whole, upper, write, a.rows(0..at), b),
                || multiply_in(rest, whole, lower, write, a.rows(at..m), b),
            );
        }
        (false, _, Some(at)) => {
            let (left, right) = out.split_columns_at(at);
            join(
                || multiply_in(first, whole, left, write, a, b.columns(0..at)),
                || multiply_in(rest, whole, right, write, a, b.columns(at..n)),
            );
        }
        _ => whole(out, write, a, b),
    }
}

/// The order in which gemm adds the terms of an element, by the size of the result.
#[derive(PartialEq, Eq)]
enum Order {
    /// By the method for vectors.
    Vector,
    /// By the method for up to 256 elements.
    Tiny,
    /// In blocks of up to 512 terms.
    Small,
    /// In blocks that the processor's caches decide.
    Blocked,
}

impl Order {
    /// Returns the order for a result with `length · other` elements.
    fn of(length: usize, other: usize) -> Self {
        match (length.min(other), length.max(other)) {
            (..=1, _) => Self::Vector,
            _ if length * other <= 256 => Self::Tiny,
            (_, ..=64) => Self::Small,
            _ => Self::Blocked,
        }
    }
}

/// Writes or adds `a · b` on this thread.
fn multiply_whole(out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
    let ([m, k], [_, n]) = (a.shape(), b.shape());
    let (start, row_stride) = out.destination();
    let ((a, [a_rows, a_cols]), (b, [b_rows, b_cols])) = (a.layout(), b.layout());
    let stride = |stride: usize| stride as isize;
    // SAFETY: the three views are inside slices that are borrowed for this call, `out` for writing
    // and disjoint from the others, and the shapes fit. A product that replaces does not read
    // `out`.
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
