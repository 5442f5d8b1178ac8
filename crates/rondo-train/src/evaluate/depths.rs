//! Refuses recurrence depths that a model does not allow.

use rondo_model::config::ModelConfig;

use crate::error::{Error, Result};

/// Returns an error if one of `depths` is larger than the model allows. If the model has parameters
/// for each iteration, a configuration can refuse depths beyond the last of these parameters.
///
/// # Errors
///
/// [`Error::Usage`] with the first depth that is too large.
pub fn refuse_depths(config: &ModelConfig, depths: impl IntoIterator<Item = usize>) -> Result<()> {
    let refused = depths
        .into_iter()
        .find_map(|depth| config.refuses_depth(depth));
    match refused {
        Some(reason) => Err(Error::Usage(reason)),
        None => Ok(()),
    }
}
