//! Rounding to bf16 on any processor: the rounded numbers are stored in f32 and multiplied as f32.

use crate::matrix::{Matrix, MatrixMut};
use crate::memory::Scratch;
use crate::product::{Write, full};
use crate::rows::for_rows;
use crate::vector::vectorized;

/// Writes or adds `a · b`. The caller guarantees that the shapes fit.
pub(super) fn multiply(out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
    let ([m, k], [_, n]) = (a.shape(), b.shape());
    let (mut a_numbers, mut b_numbers) = (Scratch::of(m * k), Scratch::of(k * n));
    let a = rounded(a, &mut a_numbers);
    full::multiply(out, write, a, rounded(b, &mut b_numbers));
}

/// Copies a matrix into `numbers` and rounds it. The copy is stored in the same order as the
/// matrix.
fn rounded<'a>(x: Matrix<'_>, numbers: &'a mut [f32]) -> Matrix<'a> {
    if !x.has_contiguous_rows() {
        return rounded(x.transposed(), numbers).transposed();
    }
    let [rows, cols] = x.shape();
    for_rows(numbers, cols, |first, part| {
        for (row, part) in (first..).zip(part.chunks_exact_mut(cols)) {
            vectorized(
                #[inline(always)]
                || {
                    for (rounded, x) in part.iter_mut().zip(x.row(row)) {
                        *rounded = round(*x);
                    }
                },
            );
        }
    });
    Matrix::new(numbers, rows, cols)
}

/// Returns the nearest bf16 number, ties to even. A subnormal number becomes zero.
#[inline(always)]
pub(in crate::product) fn round(x: f32) -> f32 {
    const UPPER: u32 = 0xffff_0000;
    const QUIET: u32 = 0x0040_0000;
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & UPPER;
    let number = match x.abs() < f32::MIN_POSITIVE {
        true => bits & 0x8000_0000,
        false => nearest,
    };
    f32::from_bits(match x.is_nan() {
        true => (bits | QUIET) & UPPER,
        false => number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_the_nearest_of_eight_bits_and_of_two_the_even_one() {
        // Between 1 and 2, neighbouring bf16 numbers differ by 1/128.
        let unit = 1.0 / 128.0;
        for (x, nearest) in [
            (1.0, 1.0),
            (1.0 + 0.4 * unit, 1.0),
            (1.0 + 0.5 * unit, 1.0),
            (1.0 + 1.5 * unit, 1.0 + 2.0 * unit),
            (-1.0 - 0.6 * unit, -1.0 - unit),
            (2.0 - 0.1 * unit, 2.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
            (f32::MIN_POSITIVE, f32::MIN_POSITIVE),
            (-f32::MIN_POSITIVE * 0.999, -0.0),
        ] {
            assert_eq!(round(x).to_bits(), f32::to_bits(nearest), "{x}");
        }
        assert!(round(f32::NAN).is_nan() && round(f32::from_bits(0x7f80_0001)).is_nan());
    }
}
