//! Replaces one file so that every reader, even after a crash, sees either the old or the new
//! bytes.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::content::Content;
use crate::disk::{Disk, FileSystem, if_there, sync_parent};
use crate::error::{FileError, at};

/// The prefix and the suffix of the temporary name under which new content is written.
const ASIDE: (&str, &str) = (".", ".aside");

/// A file that was written beside its target, as `.NAME.aside`, and synced to the device. If this
/// value is dropped without a commit, the file is removed.
///
/// If the target is a symbolic link, the link is replaced and not followed. Two processes must not
/// write to one path at the same time; the run lock prevents it.
pub struct StagedFile<D: Disk = FileSystem> {
    file: D::File,
    aside: Aside<D>,
    target: PathBuf,
}

/// The file under its temporary name, before it is renamed.
struct Aside<D: Disk> {
    disk: D,
    path: PathBuf,
}

impl<D: Disk> StagedFile<D> {
    /// Writes new content for `path` to a temporary file.
    ///
    /// # Errors
    /// Returns an error if `write` fails, the file system refuses, or `path` has no file name. No
    /// file is left behind after an error.
    pub fn write(
        disk: &D,
        path: &Path,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Self, FileError> {
        let Some(name) = path.file_name() else {
            return Err(at("write", path)(io::ErrorKind::InvalidInput.into()));
        };
        let mut aside_name = OsString::from(ASIDE.0);
        aside_name.push(name);
        aside_name.push(ASIDE.1);
        let aside = Aside {
            disk: disk.clone(),
            path: path.with_file_name(aside_name),
        };
        if_there(disk.remove_file(&aside.path)).map_err(at("remove", &aside.path))?;
        Ok(Self {
            file: write_new(disk, &aside.path, write)?,
            aside,
            target: path.to_owned(),
        })
    }

    /// Renames the file to its target, syncs the name to the device, and returns the open file.
    /// Later writes append to the file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be renamed; the old content stays, and the new file is
    /// removed. Also returns an error if the folder cannot be synced; the new content stays.
    pub fn commit(self) -> Result<D::File, FileError> {
        let Aside { disk, path } = &self.aside;
        disk.rename(path, &self.target)
            .map_err(at("rename", path))?;
        sync_parent(disk, &self.target)?;
        Ok(self.file)
    }
}

impl<D: Disk> Drop for Aside<D> {
    fn drop(&mut self) {
        // After a commit, no file is left to remove. Otherwise, the error that prevented the commit
        // is more important than an error of this removal.
        let _ = self.disk.remove_file(&self.path);
    }
}

/// Writes a file that does not exist yet, syncs it to the device, and returns the open file. Later
/// writes append to the file.
///
/// # Errors
/// Returns an error if `write` fails, the path exists, or the file system refuses.
pub fn write_new<D: Disk>(
    disk: &D,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<D::File, FileError> {
    let file = disk.create_new(path).map_err(at("create", path))?;
    let mut out = BufWriter::new(file);
    let written = write(&mut out).and_then(|()| out.flush());
    written.map_err(at("write", path))?;
    disk.sync(out.get_ref()).map_err(at("sync", path))?;
    let (file, _) = out.into_parts();
    Ok(file)
}

/// Replaces the file at `path` by the bytes that `write` writes, as [`StagedFile`] does.
///
/// # Errors
/// Those of [`StagedFile`]. After an error, `path` has its old content, unless only the last
/// operation, syncing the folder, has failed.
pub fn replace(
    disk: &impl Disk,
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    StagedFile::write(disk, path, write)?.commit()?;
    Ok(())
}

/// Replaces the file at `path` by `bytes`, as [`replace`] does.
///
/// # Errors
/// Those of [`replace`].
pub fn atomic_write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(&FileSystem, path, |out| out.write_all(bytes))
}

/// Replaces the file at `path` by `content`, as [`replace`] does. The content is never in memory as
/// a whole.
///
/// # Errors
/// Those of [`replace`].
pub fn atomic_save(path: &Path, content: &dyn Content) -> Result<(), FileError> {
    replace(&FileSystem, path, |out| content.write_to(out))
}

/// Whether `name` is the name of a temporary file. A killed process may have left such a file; the
/// next write of the same target removes it.
pub fn is_leftover(name: impl AsRef<OsStr>) -> bool {
    let name = name.as_ref().as_encoded_bytes();
    let (before, after) = (ASIDE.0.as_bytes(), ASIDE.1.as_bytes());
    name.len() > before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_new_content_replaces_the_old_and_a_dead_writers_leftover() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("run.json");
        fs::write(dir.path().join(".run.json.aside"), "half").expect("a leftover");
        atomic_write(&path, b"one").expect("a first write");
        atomic_write(&path, b"two").expect("a second write");
        assert_eq!(fs::read(&path).expect("the file"), b"two");
        assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 1);
    }

    #[test]
    fn only_what_a_writer_leaves_is_a_leftover() {
        for (name, expected) in [
            (".run.json.aside", true),
            ("run.json", false),
            (".lock", false),
            ("run.json.aside", false),
            (".aside", false),
        ] {
            assert_eq!(is_leftover(name), expected, "{name}");
        }
    }

    #[test]
    fn a_write_that_cannot_be_renamed_leaves_nothing_behind_and_names_the_file() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("run.json");
        fs::create_dir(&path).expect("a folder in the way");
        let error = atomic_write(&path, b"one").expect_err("a folder is in the way");
        assert!(error.to_string().contains("run.json"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_is_replaced_and_its_target_untouched() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "mine").expect("a target");
        std::os::unix::fs::symlink(&target, &link).expect("a link");
        atomic_write(&link, b"new").expect("a write");
        assert_eq!(fs::read(&target).expect("the target"), b"mine");
        assert_eq!(fs::read(&link).expect("the former link"), b"new");
    }
}
