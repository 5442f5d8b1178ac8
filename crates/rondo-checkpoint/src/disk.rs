//! The calls that change something on disk: all of them, so that a test can end or fail any one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// What a writer of checkpoints asks of a file system.
///
/// The only implementation outside tests is [`FileSystem`].
pub(crate) trait Disk {
    /// A file open for writing.
    type File: Write;

    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Fails where something is there.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Fails where something is there.
    fn create_new(&self, path: &Path) -> io::Result<Self::File>;

    /// Makes the content of `file` durable.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Makes the names in `dir` durable, where the file system can.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove_file(&self, path: &Path) -> io::Result<()>;

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
}

/// Takes what was not there for removed or moved.
pub(crate) fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The file system of this machine.
pub(crate) struct FileSystem;

impl Disk for FileSystem {
    type File = File;

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn create_new(&self, path: &Path) -> io::Result<File> {
        File::create_new(path)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        use io::ErrorKind::{InvalidInput, Unsupported};
        match File::open(dir).and_then(|folder| folder.sync_all()) {
            // Some network file systems cannot sync a folder; their renames are as durable as they get.
            Err(error) if matches!(error.kind(), InvalidInput | Unsupported) => Ok(()),
            result => result,
        }
    }

    /// A folder cannot be opened as a file here, and the file system journals its names.
    #[cfg(not(unix))]
    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }
}
