//! Products of matrices.

#![allow(unsafe_code, reason = "the gemm crate takes pointers")]

use gemm::Parallelism;

use crate::matrix::{Matrix, MatrixMut};

/// What a product does with what stands in its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Overwrites it.
    Replace,
    /// Adds to it.
    Add,
}

/// Who computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// This thread: inside a task.
    One,
    /// As many as there are.
    All,
}

/// Writes `scale · a · b` into `out`.
///
/// # Shapes
///
/// `out`: `[m, n]`; `a`: `[m, k]`; `b`: `[k, n]`.
///
/// # Panics
///
/// Panics where the shapes do not fit.
pub fn product(
    out: MatrixMut<'_>,
    write: Write,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
) {
    let ([m, n], [a_rows, k], [b_rows, b_cols]) = (out.shape(), a.shape(), b.shape());
    assert_eq!(
        [a_rows, b_rows, b_cols],
        [m, k, n],
        "[{m}, {k}] times [{k}, {n}]"
    );
    let (start, row_stride) = out.destination();
    // SAFETY: the three views lie in slices that are borrowed for this call, `out` for writing and
    // disjoint from the others, and the shapes fit.
    unsafe { multiply(start, row_stride, write, scale, a, b, threads) }
}

/// Returns `a · b` in a new vector, row after row, `[m, n]`.
///
/// # Shapes
///
/// `a`: `[m, k]`; `b`: `[k, n]`.
///
/// # Panics
///
/// Panics where the shapes do not fit.
pub fn product_of(a: Matrix<'_>, b: Matrix<'_>, threads: Threads) -> Vec<f32> {
    let ([m, k], [b_rows, n]) = (a.shape(), b.shape());
    assert_eq!(b_rows, k, "[{m}, {k}] times [{b_rows}, {n}]");
    let mut out = Vec::with_capacity(m * n);
    // SAFETY: the vector has room for m rows of n, nothing else has its pointer, and the product
    // that replaces writes every element without reading it, after which they are initialised.
    unsafe {
        multiply(out.as_mut_ptr(), n, Write::Replace, 1.0, a, b, threads);
        out.set_len(m * n);
    }
    out
}

/// Writes `scale · a · b` to rows `row_stride` apart.
///
/// # Safety
///
/// `out` must be valid for writing `[m, n]` at that stride, for reading as well where the product
/// is added, and must not overlap `a` or `b`; the inner dimensions of `a` and `b` must agree.
unsafe fn multiply(
    out: *mut f32,
    row_stride: usize,
    write: Write,
    scale: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    threads: Threads,
) {
    let ([m, k], [_, n]) = (a.shape(), b.shape());
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    let stride = |stride: usize| stride as isize;
    let ((a, [a_rows, a_cols]), (b, [b_rows, b_cols])) = (a.layout(), b.layout());
    // SAFETY: the caller's promise; a and b are views of borrowed slices.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out,
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
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests;
