//! The limit of the vector instructions that the environment may set.

use rondo_kernels::instructions::limit_to_avx2;
use rondo_train::error::{Error, Result};

/// The environment variable; `avx2` is its only value.
const VARIABLE: &str = "RONDO_INSTRUCTIONS";

/// Applies the limit that the environment sets, if it sets one.
///
/// # Errors
///
/// If the variable has another value.
pub(crate) fn limit() -> Result<()> {
    let Some(value) = std::env::var_os(VARIABLE) else {
        return Ok(());
    };
    if value != "avx2" {
        return Err(Error::Usage(format!(
            "{VARIABLE} is {value:?}: set it to avx2, to leave AVX-512 and AMX unused, or unset it"
        )));
    }
    limit_to_avx2();
    Ok(())
}
