//! Products of matrices that are rounded to bf16, summed in f32.
//!
//! bf16 is the upper half of an f32. Both sides are rounded to nearest, ties to even. A subnormal
//! number becomes zero, as in the instructions; NaN stays NaN.
//!
//! | module | what it holds |
//! |---|---|
//! | `tile` | rounded numbers in tiles, packed by AVX-512 |
//! | `pieces` | a product cut into pieces of tiles |
//! | `amx` | a block of a product by AMX, the matrix unit of Xeons since 2023 |
//! | `dots` | a block by AVX-512, for AMD's processors since Zen 4 |
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

/// How a product is computed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    /// By AMX.
    #[cfg(target_arch = "x86_64")]
    Amx(amx::Amx),
    /// By the dot products of AVX-512.
    #[cfg(target_arch = "x86_64")]
    Dots(dots::Dots),
    /// By the products of f32.
    Rounded,
}

impl Kernel {
    /// Returns the ways that this machine supports, the fastest first.
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

    /// Returns the fastest way, which is determined once.
    fn fastest() -> Self {
        static FASTEST: OnceLock<Kernel> = OnceLock::new();
        *FASTEST.get_or_init(|| Self::all().swap_remove(0))
    }

    /// Returns whether it multiplies bf16 rather than rounded f32.
    fn is_of_bf16(self) -> bool {
        !matches!(self, Self::Rounded)
    }

    /// Writes or adds `a · b`; the shapes fit.
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

/// Returns whether this machine has instructions for bf16 that are faster than those for f32.
pub(super) fn is_fast() -> bool {
    Kernel::fastest().is_of_bf16()
}

/// Writes or adds `a · b` with the fastest instructions of this machine; the shapes fit.
pub(super) fn multiply(out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
    Kernel::fastest().multiply(out, write, a, b);
}
