//! One temporary folder per thread, for readers that take a path instead of bytes.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("a temporary folder");
}

/// Returns the path of `name` in this thread's folder; the file need not exist.
pub(crate) fn path(name: impl AsRef<Path>) -> PathBuf {
    FOLDER.with(|folder| folder.path().join(name))
}

/// Writes a file in this thread's folder. A file of the same name from the previous input is
/// replaced.
///
/// # Panics
///
/// Panics if there is no room for temporary files.
pub(crate) fn file(name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
    let path = path(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("a temporary folder takes folders");
    }
    fs::write(&path, bytes).expect("a temporary folder takes files");
    path
}
