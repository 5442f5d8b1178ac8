//! A folder that is either whole or not there: written beside its place, then renamed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use crate::error::DataError;

/// The folder `.NAME.PID.partial`, which disappears again unless it is committed.
pub(crate) struct Aside {
    path: PathBuf,
}

impl Aside {
    /// Makes an empty folder beside `out`.
    pub(crate) fn create(out: &Path) -> Result<Self, DataError> {
        let name = out.file_name().ok_or_else(|| {
            DataError::Corpus(format!("`{}` does not name a folder", out.display()))
        })?;
        let mut aside = OsString::from(".");
        aside.push(name);
        aside.push(format!(".{}.partial", process::id()));
        let path = out.with_file_name(aside);
        // Left over from a process with the same number that was killed.
        if path.exists() {
            fs::remove_dir_all(&path).map_err(DataError::io("remove", &path))?;
        }
        fs::create_dir_all(&path).map_err(DataError::io("create", &path))?;
        Ok(Self { path })
    }

    /// Returns where it is until it is committed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames it to `out`.
    pub(crate) fn commit(self, out: &Path) -> Result<(), DataError> {
        fs::rename(&self.path, out).map_err(DataError::io("rename a prepared folder to", out))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After a commit there is nothing left here, and an error is already on its way otherwise.
        let _ = fs::remove_dir_all(&self.path);
    }
}
