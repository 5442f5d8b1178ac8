//! The gemm crate's kernel for AVX2, on a machine whose AVX-512 is not to be used. gemm itself
//! always takes the widest instructions of the machine.

use gemm_common::Parallelism;
use gemm_common::gemm::gemm_basic_generic;
use gemm_common::simd::{MixedSimd, V3};
use gemm_f32::microkernel::fma::f32::{H_M, H_N, H_UKR, MR_DIV_N, NR, UKR};

use crate::instructions::allows_avx512;
use crate::matrix::{Matrix, MatrixMut};
use crate::product::Write;

/// The f32 lanes of an AVX2 register.
const LANES: usize = 8;

/// Proof that the machine has AVX2 and fused multiply-add.
#[derive(Clone, Copy, Debug)]
pub(in crate::product) struct Avx2(V3);

impl Avx2 {
    /// Detects AVX2 if this process is limited to it.
    #[inline]
    pub(super) fn if_limited() -> Option<Self> {
        match allows_avx512() {
            true => None,
            false => Self::detect(),
        }
    }

    /// Detects AVX2.
    pub(in crate::product) fn detect() -> Option<Self> {
        <V3 as MixedSimd<f32, f32, f32, f32>>::try_new().map(Self)
    }

    /// Returns the function that writes or adds `a · b` on this thread; the shapes must fit.
    pub(in crate::product) fn whole(
        self,
    ) -> impl Fn(MatrixMut<'_>, Write, Matrix<'_>, Matrix<'_>) + Copy + Send + Sync {
        move |out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>| {
            self.multiply(out, write, a, b);
        }
    }

    /// Writes or adds `a · b` on this thread; the shapes fit.
    ///
    /// The kernel prefers results with contiguous columns, so this computes `outᵀ = bᵀ · aᵀ`, as
    /// gemm does.
    #[inline(never)]
    fn multiply(self, out: MatrixMut<'_>, write: Write, a: Matrix<'_>, b: Matrix<'_>) {
        let ([m, k], [_, n]) = (a.shape(), b.shape());
        let (start, row_stride) = out.destination();
        let ((a, [a_rows, a_cols]), (b, [b_rows, b_cols])) = (a.layout(), b.layout());
        let stride = |stride: usize| stride as isize;
        // SAFETY: as for gemm itself: the three views are inside slices that are borrowed for this
        // call, `out` for writing and disjoint from the others, and the shapes fit. The functions
        // of the table need AVX2 and fused multiply-add, which the machine has.
        unsafe {
            gemm_basic_generic::<V3, f32, LANES, { MR_DIV_N * LANES }, NR, MR_DIV_N, H_M, H_N>(
                self.0,
                n,
                m,
                k,
                start,
                stride(row_stride),
                1,
                write == Write::Add,
                b,
                stride(b_rows),
                stride(b_cols),
                a,
                stride(a_rows),
                stride(a_cols),
                1.0,
                1.0,
                false,
                false,
                false,
                |a, b, sum| a * b + sum,
                &UKR,
                &H_UKR,
                false,
                Parallelism::None,
            );
        }
    }
}
