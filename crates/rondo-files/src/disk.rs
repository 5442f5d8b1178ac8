//! All calls that change something on disk, behind one trait, so that a test can interrupt each of
//! them or make it fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::error::{FileError, at};

/// The file system calls that a writer needs.
///
/// The only implementation outside tests is [`FileSystem`].
pub trait Disk: Clone {
    /// A file open for writing; each write appends to its end.
    type File: Write;

    /// Makes a folder and its parents, unless they exist.
    ///
    /// # Errors
    /// Returns the error of the file system.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes a folder.
    ///
    /// # Errors
    /// Returns an error if the path exists, or if the file system refuses.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes an empty file.
    ///
    /// # Errors
    /// Returns an error if the path exists, or if the file system refuses.
    fn create_new(&self, path: &Path) -> io::Result<Self::File>;

    /// Syncs the content of `file` to the device.
    ///
    /// # Errors
    /// Returns the error of the file system.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Syncs the names in `dir` to the device, if the file system supports it.
    ///
    /// # Errors
    /// Returns the error of the file system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Moves a file or a folder; a moved file replaces a file of the same name.
    ///
    /// # Errors
    /// Returns the error of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Returns an error if the file does not exist, or if the file system refuses.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// Returns an error if the folder does not exist or is not empty, or if the file system
    /// refuses.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Removes a folder with all its content.
    ///
    /// # Errors
    /// Returns an error if the folder does not exist, or if the file system refuses.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
}

/// Turns the error "not found" into success. It is used after calls that remove or move a path that
/// may not exist.
///
/// # Errors
/// Returns any other error.
pub fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Syncs the name `path` to the device.
pub(crate) fn sync_parent(disk: &impl Disk, path: &Path) -> Result<(), FileError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    disk.sync_dir(parent).map_err(at("sync", parent))
}

/// The file system of this machine.
#[derive(Clone, Copy, Debug)]
pub struct FileSystem;

impl Disk for FileSystem {
    type File = File;

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir(dir)
    }

    fn create_new(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().append(true).create_new(true).open(path)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        use io::ErrorKind::{InvalidInput, Unsupported};
        match File::open(dir).and_then(|folder| folder.sync_all()) {
            // Some network file systems cannot sync a folder. There is no other way to sync their
            // renames.
            Err(error) if matches!(error.kind(), InvalidInput | Unsupported) => Ok(()),
            result => result,
        }
    }

    /// On this system, a folder cannot be opened as a file. The file system journals its names.
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

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir(dir)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }
}
