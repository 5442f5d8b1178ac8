//! The limit of the vector instructions that the environment may set.

use rondo_kernels::instructions::limit_to_avx2;
use rondo_train::error::{Error, Result};

/// The environment variable; `avx2` is its only value.
const VARIABLE: &str = "RONDO_INSTRUCTIONS";

/// Applies the limit that the environment sets, if it sets one.
///
/// # Errors
///
/// If the variable has another value, or if this is no x86-64 processor.
pub(crate) fn limit() -> Result<()> {
    let Some(value) = std::env::var_os(VARIABLE) else {
        return Ok(());
    };
    if value != "avx2" {
        return Err(Error::Usage(format!(
            "{VARIABLE} is `{}`: set it to avx2, to leave AVX-512 and AMX unused, or unset it",
            value.display()
        )));
    }
    if !cfg!(target_arch = "x86_64") {
        return Err(Error::Usage(format!(
            "{VARIABLE} is avx2, and this is no x86-64 processor: unset it"
        )));
    }
    limit_to_avx2();
    Ok(())
}
