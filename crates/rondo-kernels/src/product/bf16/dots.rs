//! Computes a block of a product with the dot products of AVX-512 (`vdpbf16ps`). Also defines the
//! proof that the machine has the instructions for rounding.

use std::arch::x86_64::{
    __cpuid, __m512bh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps,
};

use super::pieces::{BlockKernel, Place};
use super::tile::{LINES, SIDE, TILES, Tile};

/// Proof that the machine has AVX-512 and its bf16 instructions.
#[derive(Clone, Copy, Debug)]
pub(in crate::product) struct Dots(());

impl Dots {
    pub(super) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512bf16");
        found.then_some(Self(()))
    }

    /// Returns whether a product with these instructions is faster than a product of f32. AMD's
    /// processors start as many dot products per cycle as multiply-adds of f32, and a dot product
    /// adds two terms instead of one. On Intel's processors, a product with these instructions
    /// takes 1.4 times as long as a product of f32.
    pub(super) fn are_fast() -> bool {
        let vendor = __cpuid(0);
        let name = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
        name.as_flattened() == b"AuthenticAMD"
    }
}

impl BlockKernel for Dots {
    type Ready = ();

    fn dots(self) -> Dots {
        self
    }

    fn ready(self) {}

    unsafe fn block((): &(), a: &[Tile], b: &[Tile], place: Place) {
        // SAFETY: `Dots` exists only if the machine has the instructions. The caller guarantees the
        // remaining conditions.
        unsafe { block(a, b, place) }
    }
}

/// The number of rows whose sums are in registers at the same time. These sums use 16 of the 32
/// registers.
const ROWS: usize = 8;

/// Computes a block, as described for [`BlockKernel::block`].
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn block(a: &[Tile], b: &[Tile], place: Place) {
    let (a_steps, b_steps) = (a.as_chunks::<TILES>().0, b.as_chunks::<TILES>().0);
    for first in (0..LINES).step_by(ROWS) {
        let at = |row: usize, half: usize| {
            place
                .start
                .wrapping_add((first + row) * place.row_stride + half * SIDE)
        };
        let mut sums = [[_mm512_setzero_ps(); TILES]; ROWS];
        if place.add {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (half, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller guarantees that the place is valid for reading.
                    *sum = unsafe { _mm512_loadu_ps(at(row, half)) };
                }
            }
        }
        for (a, b) in a_steps.iter().zip(b_steps) {
            let a = &a[first / SIDE].0[first % SIDE..][..ROWS];
            for word in 0..SIDE {
                // SAFETY: a row of a tile has the 64 bytes that are read.
                let b = [0, 1]
                    .map(|half: usize| unsafe { words(_mm512_loadu_ps(b[half].0[word].as_ptr())) });
                for (sums, a) in sums.iter_mut().zip(a) {
                    let a = words(_mm512_set1_ps(a[word]));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = _mm512_dpbf16_ps(*sum, a, b);
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (half, sum) in sums.iter().enumerate() {
                // SAFETY: the caller guarantees that the place is valid for writing.
                unsafe { _mm512_storeu_ps(at(row, half), *sum) }
            }
        }
    }
}

/// Returns 16 words, which hold two bf16 numbers each, as a vector of bf16 numbers.
#[inline]
#[target_feature(enable = "avx512f")]
fn words(x: std::arch::x86_64::__m512) -> __m512bh {
    // SAFETY: both types are 64 bytes long, and every pattern of bits is valid.
    unsafe { std::mem::transmute(x) }
}
