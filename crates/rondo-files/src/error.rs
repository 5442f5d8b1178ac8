//! A call that the system refused.

use std::io;
use std::path::{Path, PathBuf};

/// The file system refused a call, for example because the disk or a quota is full, because of
/// permissions, or because a file has vanished.
///
/// The message does not contain the text of `source()`: the code that prints errors prints the
/// whole chain.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}")]
pub struct FileError {
    /// The verb of the call: `write`, `sync`, `rename` ...
    pub action: &'static str,
    /// The file or folder that the call was for.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

/// Adds the verb of the call and the path to an I/O error.
pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError {
        action,
        path: path.to_path_buf(),
        source,
    }
}
