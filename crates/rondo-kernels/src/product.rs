//! Products of matrices.

#![allow(
    unsafe_code,
    reason = "the gemm crate and the tiles of bf16 take pointers; some instructions are named by hand"
)]

mod bf16;
mod full;

use crate::matrix::{Matrix, MatrixMut};

/// Whether a product replaces the numbers in its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Replaces the numbers by the product.
    Replace,
    /// Adds the product to the numbers.
    Add,
}

/// The precision of the factors of a product. Sums are in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// The factors are not rounded.
    #[default]
    F32,
    /// A device with instructions for TF32 may round the factors to TF32, which has 11 bits of
    /// significand. Processors have no such instructions and do not round the factors.
    Tf32,
    /// The factors are rounded to bf16, which has 8 bits of significand: to nearest, ties to even.
    /// Subnormal numbers become zero.
    ///
    /// The order of additions depends on the machine, but not on the number of threads.
    Bf16,
}

/// Returns whether this machine has instructions that multiply bf16 faster than f32.
pub(crate) fn bf16_is_fast() -> bool {
    bf16::is_fast()
}

/// Writes `a · b` into `out`.
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
    a: Matrix<'_>,
    b: Matrix<'_>,
    precision: Precision,
) {
    let ([m, n], [a_rows, k], [b_rows, b_cols]) = (out.shape(), a.shape(), b.shape());
    assert_eq!(
        [a_rows, b_rows, b_cols],
        [m, k, n],
        "[{m}, {k}] times [{k}, {n}]"
    );
    let multiply = match precision {
        Precision::F32 | Precision::Tf32 => full::multiply,
        Precision::Bf16 => bf16::multiply,
    };
    multiply(out, write, a, b);
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
pub fn product_of(a: Matrix<'_>, b: Matrix<'_>, precision: Precision) -> Vec<f32> {
    let ([m, _], [_, n]) = (a.shape(), b.shape());
    let mut values = Vec::with_capacity(m * n);
    // SAFETY: the vector has room for m rows of n, and no other code has its pointer.
    let out = unsafe { MatrixMut::unwritten(values.as_mut_ptr(), m, n) };
    product(out, Write::Replace, a, b, precision);
    // SAFETY: `Write::Replace` has written every element.
    unsafe { values.set_len(m * n) };
    values
}

#[cfg(test)]
mod tests;
