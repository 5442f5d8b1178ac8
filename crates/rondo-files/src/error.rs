//! A call that the system refused.

use std::io;
use std::path::{Path, PathBuf};

/// The file system refused: disk full, quota, permissions, a file that vanished.
///
/// The message leaves out the `source()`: the code that prints it prints the whole chain.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}")]
pub struct FileError {
    /// What was tried, as a verb: `write`, `sync`, `rename` ...
    pub action: &'static str,
    /// The file or folder it was tried on.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

/// Gives an I/O error the verb and the path that it lacks.
pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError {
        action,
        path: path.to_path_buf(),
        source,
    }
}
