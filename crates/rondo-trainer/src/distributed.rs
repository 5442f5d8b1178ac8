//! The world of this process, as its launcher set it up.

use rondo_collective::start::{self, StartError, Started};
use rondo_train::error::{Error, Result};

/// Starts the world that the launcher's environment variables describe; without a launcher, this process is alone.
///
/// # Errors
///
/// Where the launch is wrong, or MPI fails. MPI may have been started: end with a code that is not 0.
pub(crate) fn start() -> Result<Started> {
    start::start(|name| std::env::var(name).ok()).map_err(|error| match error {
        StartError::Refused(refusal) => Error::Usage(refusal.to_string()),
        StartError::Failed(failure) => Error::Other(failure.into()),
    })
}
