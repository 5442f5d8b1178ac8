//! Products of matrices whose elements are rounded to bf16; the sums are in f32.
//!
//! A bf16 number is the upper half of an f32. Both factors are rounded to nearest, ties to even. A
//! subnormal number becomes zero, as in the bf16 instructions of processors; NaN stays NaN.
//!
//! | module | what it holds |
//! |---|---|
//! | `tile` | rounded numbers, packed into tiles by AVX-512 |
//! | `pieces` | divides a product into pieces that run in parallel |
//! | `amx` | computes a block of a product with AMX, the matrix unit of Xeons since 2023 |
//! | `dots` | computes a block with AVX-512, on AMD's processors since Zen 4 |
//! | `rounded` | rounded numbers kept in f32, for every other processor |

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod dots;
#[cfg(target_arch = "x86_64")]
mod pieces;
mod rounded;
#[cfg(target_arch = "x86_64")]
mod tile;

use std::sync::OnceLock;

#[cfg(test)]
pub(super) use rounded::round;

use super::{Write, full};
#[cfg(target_arch = "x86_64")]
use crate::instructions::allows_avx512;
use crate::matrix::{Matrix, MatrixMut};

/// The instructions that compute a product.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    /// The matrix unit AMX.
    #[cfg(target_arch = "x86_64")]
    Amx(amx::Amx),
    /// The dot products of bf16 numbers in AVX-512.
    #[cfg(target_arch = "x86_64")]
    Dots(dots::Dots),
    /// The products of f32 numbers, applied to rounded numbers.
    Rounded,
}

impl Kernel {
    /// Returns the kernels that this machine supports, the fastest first.
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![Self::Rounded];
        #[cfg(target_arch = "x86_64")]
        if allows_avx512() {
            let place = usize::from(!dots::Dots::are_fast());
            all.splice(place..place, dots::Dots::detect().map(Self::Dots));
            all.splice(0..0, amx::Amx::detect().map(Self::Amx));
        }
        all
    }

    /// Returns the fastest kernel. The choice is made once per process.
    fn fastest() -> Self {
        static FASTEST: OnceLock<Kernel> = OnceLock::new();
        *FASTEST.get_or_init(|| Self::all().swap_remove(0))
    }

    /// Returns whether the kernel multiplies bf16 numbers. Otherwise it multiplies rounded f32
    /// numbers.
    fn is_of_bf16(self) -> bool {
        !matches!(self, Self::Rounded)
    }

    /// Writes or adds `a · b`. The caller guarantees that the shapes fit.
    pub(super) fn multiply(self, out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
        let ([m, k], [_, n]) = (a.shape(), b.shape());
        match self {
            _ if m * k * n == 0 => full::multiply(out, write, a, b),
            #[cfg(target_arch = "x86_64")]
            Self::Amx(amx) => pieces::multiply(amx, out, write, a, b),
            #[cfg(target_arch = "x86_64")]
            Self::Dots(dots) => pieces::multiply(dots, out, write, a, b),
            Self::Rounded => rounded::multiply(out, write, a, b),
        }
    }
}

/// Returns whether this machine multiplies bf16 numbers faster than f32 numbers.
pub(super) fn is_fast() -> bool {
    Kernel::fastest().is_of_bf16()
}

/// Writes or adds `a · b` with the fastest kernel of this machine. The caller guarantees that the
/// shapes fit.
pub(super) fn multiply(out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
    Kernel::fastest().multiply(out, write, a, b);
}
