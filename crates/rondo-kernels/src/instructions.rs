//! Which vector instructions of this machine the kernels use.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::product::bf16_is_fast;

/// The widest vector instructions, which the kernels pick at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// AVX-512, of x86-64.
    Avx512,
    /// AVX2 with fused multiply-add, of x86-64.
    Avx2,
    /// NEON, of AArch64.
    Neon,
    /// What every processor of the architecture has.
    Baseline,
}

impl Instructions {
    /// Returns those of this machine.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            use pulp::x86::{V3, V4};
            if allows_avx512() && V4::try_new().is_some() {
                return Self::Avx512;
            }
            if V3::try_new().is_some() {
                return Self::Avx2;
            }
        }
        match cfg!(target_arch = "aarch64") {
            true => Self::Neon,
            false => Self::Baseline,
        }
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2",
            Self::Neon => "NEON",
            Self::Baseline => "baseline instructions",
        })
    }
}

/// Whether the kernels leave AVX-512 and AMX unused.
static IS_LIMITED: AtomicBool = AtomicBool::new(false);

/// Limits the kernels of this process to AVX2, to measure what a processor without AVX-512 would
/// do. Must be called before any other function of this crate.
///
/// The backend's own operations keep AVX-512.
pub fn limit_to_avx2() {
    IS_LIMITED.store(true, Ordering::Relaxed);
}

/// Returns whether the kernels may use AVX-512 and AMX, if the machine has them.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn allows_avx512() -> bool {
    !IS_LIMITED.load(Ordering::Relaxed)
}

/// Returns whether products of training that are rounded to bf16 are faster here than those of f32.
pub fn has_fast_bf16() -> bool {
    bf16_is_fast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_only_fast_on_a_processor_with_avx512() {
        assert!(!has_fast_bf16() || Instructions::detect() == Instructions::Avx512);
    }
}
