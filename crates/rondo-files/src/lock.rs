//! The lock that lets only one process write in a run directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::error::{FileError, at};

/// The name of the locked file.
pub const LOCK_FILE: &str = ".lock";

/// A run directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error("another process is training in {run_dir}; wait for it or use another directory")]
    Locked {
        /// The contested run directory.
        run_dir: PathBuf,
    },
    /// The directory cannot be written, or its file system does not support locks.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The exclusive right to write in a run directory. The right ends when this value is dropped or
/// the process ends, even if the process is killed.
///
/// The lock is an advisory lock of the operating system on `RUN/.lock`. The file is never removed:
/// otherwise a second process could wait for the lock of the removed file while a third process
/// locks a new file.
#[derive(Debug)]
pub struct RunLock {
    run_dir: PathBuf,
    _locked: File,
}

impl RunLock {
    /// Takes the lock without waiting. Creates `run_dir` if it does not exist.
    ///
    /// # Errors
    /// [`LockError::Locked`] if another process holds the lock, [`LockError::File`] if the
    /// directory cannot be written or its file system does not support locks.
    pub fn acquire(run_dir: &Path) -> Result<Self, LockError> {
        Self::take(run_dir, File::try_lock)
    }

    /// Takes a share of the lock without waiting. Any number of processes may hold a share at once;
    /// while one does, no process can take the exclusive lock.
    ///
    /// # Errors
    /// Those of [`acquire`](Self::acquire). [`LockError::Locked`] if another process holds the
    /// exclusive lock.
    pub fn acquire_shared(run_dir: &Path) -> Result<Self, LockError> {
        Self::take(run_dir, File::try_lock_shared)
    }

    /// Waits until the lock is free and takes it.
    ///
    /// # Errors
    /// [`LockError::File`] if the directory cannot be written or its file system does not support
    /// locks.
    pub fn wait(run_dir: &Path) -> Result<Self, LockError> {
        Self::take(run_dir, |file| file.lock().map_err(TryLockError::Error))
    }

    fn take(
        run_dir: &Path,
        lock: impl FnOnce(&File) -> Result<(), TryLockError>,
    ) -> Result<Self, LockError> {
        fs::create_dir_all(run_dir).map_err(at("create", run_dir))?;
        let path = run_dir.join(LOCK_FILE);
        // NFS grants a shared lock only on a file that is open for reading.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(at("create", &path))?;
        let run_dir = run_dir.to_path_buf();
        match lock(&file) {
            Ok(()) => Ok(Self {
                run_dir,
                _locked: file,
            }),
            Err(TryLockError::WouldBlock) => Err(LockError::Locked { run_dir }),
            Err(TryLockError::Error(error)) => Err(at("lock", &path)(error).into()),
        }
    }

    /// Returns the directory that this lock protects.
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_by_name_until_the_first_lets_go() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let run = dir.path().join("runs/one");
        let first = RunLock::acquire(&run).expect("a free directory");
        let error = RunLock::acquire(&run).expect_err("the directory is taken");
        assert!(matches!(error, LockError::Locked { .. }));
        assert!(error.to_string().contains("runs/one"), "{error}");
        RunLock::acquire(&dir.path().join("runs/two")).expect("another directory is free");
        drop(first);
        RunLock::acquire(&run).expect("the directory is free again");
    }

    #[test]
    fn parts_exclude_the_whole_and_not_each_other() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let part = RunLock::acquire_shared(dir.path()).expect("a part");
        let other = RunLock::acquire_shared(dir.path()).expect("another part");
        let whole = || RunLock::acquire(dir.path());
        assert!(matches!(whole(), Err(LockError::Locked { .. })));
        drop(part);
        assert!(matches!(whole(), Err(LockError::Locked { .. })));
        drop(other);
        let whole = RunLock::wait(dir.path()).expect("the whole");
        let part = RunLock::acquire_shared(dir.path());
        assert!(matches!(part, Err(LockError::Locked { .. })));
        drop(whole);
    }
}
