//! The errors of this crate.

use std::io;
use std::path::PathBuf;

/// Why runs cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The folders of all runs were deleted or moved.
    #[error("{}: the run directory has been gone for {seconds} seconds; the last step seen was {step}", path.display())]
    Gone {
        /// The first run's directory.
        path: PathBuf,
        /// How long the directory has been missing.
        seconds: u64,
        /// The last step in the run's records.
        step: u64,
    },
    /// The terminal refused a command.
    #[error("cannot {action} the terminal; `trainer watch RUN | cat` prints a table instead")]
    Terminal {
        /// The verb of the refused command.
        action: &'static str,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The operating system could not start a thread.
    #[error("cannot start the thread that reads the records")]
    Thread(#[source] io::Error),
}
