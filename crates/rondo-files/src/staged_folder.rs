//! A folder that is written beside its target and moved there by one rename. Readers see either the
//! complete folder or no folder.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

use crate::disk::{Disk, FileSystem, if_there, sync_parent};
use crate::error::{FileError, at};
use crate::lock::{LOCK_FILE, LockError, RunLock};
use crate::staged_file::write_new;

/// A folder that is being written beside its target, as `.NAME.PROCESS.partial`. If this value is
/// dropped without a commit, the folder is removed. A folder that a later process can resume is
/// called `.NAME.partial`; it stays if [`StagedFolder::keep`] is called.
pub struct StagedFolder<D: Disk = FileSystem> {
    disk: D,
    path: PathBuf,
    target: PathBuf,
    /// The parents of the target that did not exist, outermost first.
    made: Vec<PathBuf>,
    /// For a folder that can be resumed: prevents other processes from using it.
    lock: Option<RunLock>,
    kept: bool,
}

impl<D: Disk> StagedFolder<D> {
    /// Makes an empty folder beside `target`. If `target` is a link to a folder, the linked folder
    /// becomes the target and the link stays.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be made.
    pub fn create(disk: &D, target: &Path) -> Result<Self, FileError> {
        let folder = Self::beside(disk, target, &format!("{}.partial", process::id()))?;
        // A killed process with the same process number may have left a folder.
        if_there(disk.remove_dir_all(&folder.path)).map_err(at("remove", &folder.path))?;
        disk.create_dir_all(&folder.path)
            .map_err(at("create", &folder.path))?;
        Ok(folder)
    }

    /// Makes a folder beside `target` as [`StagedFolder::create`] does, or resumes the folder that
    /// an earlier process left. Returns `None` if another process is using the folder.
    ///
    /// # Errors
    /// Returns an error if the folder cannot be made, or if its file system does not support locks.
    pub fn resume(disk: &D, target: &Path) -> Result<Option<Self>, FileError> {
        let mut folder = Self::beside(disk, target, "partial")?;
        match RunLock::acquire(&folder.path) {
            Ok(lock) => folder.lock = Some(lock),
            Err(LockError::Locked { .. }) => {
                folder.kept = true;
                return Ok(None);
            }
            Err(LockError::File(error)) => {
                folder.kept = true;
                return Err(error);
            }
        }
        Ok(Some(folder))
    }

    /// Keeps the folder, so that [`StagedFolder::resume`] can continue it.
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// Chooses the path of a folder beside `target`, and records which parents of `target` do not
    /// exist.
    fn beside(disk: &D, target: &Path, what: &str) -> Result<Self, FileError> {
        let linked = target.is_symlink().then(|| target.canonicalize());
        let linked = linked.transpose().map_err(at("follow the link", target))?;
        let target = linked.unwrap_or_else(|| target.to_owned());
        let parents = target.ancestors().skip(1);
        let mut made: Vec<PathBuf> = parents
            .take_while(|parent| !parent.as_os_str().is_empty() && !parent.exists())
            .map(Path::to_owned)
            .collect();
        made.reverse();
        Ok(Self {
            disk: disk.clone(),
            path: beside(&target, what),
            target,
            made,
            lock: None,
            kept: false,
        })
    }

    /// Returns the current path of the folder. Files that are not written with
    /// [`StagedFolder::write`] must be synced before the commit.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a new file into the folder and syncs it to the device.
    ///
    /// # Errors
    /// Returns an error if `write` fails or the file system refuses.
    pub fn write(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FileError> {
        write_new(&self.disk, &self.path.join(name), write)?;
        Ok(())
    }

    /// Moves the folder to its target, which must not exist.
    ///
    /// # Errors
    /// Returns an error if the target exists or the file system refuses.
    pub fn commit(mut self) -> Result<(), FileError> {
        self.sync()?;
        self.rename()?;
        sync_parent(&self.disk, &self.target)
    }

    /// Moves the folder to its target. If the target exists, its old folder is removed afterwards.
    ///
    /// # Errors
    /// Returns an error if a folder cannot be renamed; the target stays unchanged. Also returns an
    /// error if the name of the target cannot be synced or the old folder cannot be removed; the
    /// old folder then stays beside the target.
    pub fn replace(mut self) -> Result<(), FileError> {
        if !self.target.exists() {
            return self.commit();
        }
        self.sync()?;
        let replaced = beside(&self.target, &format!("{}.replaced", process::id()));
        let away = self.disk.rename(&self.target, &replaced);
        let renamed = away
            .map_err(at("rename", &self.target))
            .and_then(|()| self.rename());
        if let Err(error) = renamed {
            if !self.target.exists() {
                self.disk
                    .rename(&replaced, &self.target)
                    .map_err(at("rename", &replaced))?;
            }
            return Err(error);
        }
        sync_parent(&self.disk, &self.target)?;
        self.disk
            .remove_dir_all(&replaced)
            .map_err(at("remove", &replaced))
    }

    fn sync(&self) -> Result<(), FileError> {
        self.disk
            .sync_dir(&self.path)
            .map_err(at("sync", &self.path))
    }

    fn rename(&mut self) -> Result<(), FileError> {
        if self.lock.is_some() {
            // The lock is held until the folder is moved. The lock file must not move with the
            // folder.
            let file = self.path.join(LOCK_FILE);
            if_there(self.disk.remove_file(&file)).map_err(at("remove", &file))?;
        }
        self.disk
            .rename(&self.path, &self.target)
            .map_err(at("rename a prepared folder to", &self.target))?;
        self.made.clear();
        Ok(())
    }
}

impl<D: Disk> Drop for StagedFolder<D> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // After a commit, no folder is left to remove. Otherwise, the error that prevented the
        // commit is more important than an error of this removal.
        let _ = self.disk.remove_dir_all(&self.path);
        for folder in self.made.iter().rev() {
            // If another process has put files into a parent folder, the parent stays.
            let _ = self.disk.remove_dir(folder);
        }
    }
}

fn beside(target: &Path, what: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{what}"));
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Returns a staged folder for `target` that contains one file with `content`.
    fn staged(target: &Path, content: &str) -> StagedFolder {
        let folder = StagedFolder::create(&FileSystem, target).expect("a folder");
        let written = folder.write(content, |out| out.write_all(content.as_bytes()));
        written.expect("a new file");
        folder
    }

    fn count(dir: &Path) -> usize {
        fs::read_dir(dir).expect("a folder").count()
    }

    #[test]
    fn a_dropped_folder_leaves_nothing_not_even_its_parents() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        drop(staged(&dir.path().join("a/b/run"), "one"));
        assert_eq!(count(dir.path()), 0);
    }

    #[test]
    fn a_folder_that_is_kept_is_resumed_by_one_process_and_gets_its_place_without_a_lock() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = dir.path().join("data");
        let resume = || StagedFolder::resume(&FileSystem, &target).expect("writable");
        let first = resume().expect("free");
        first
            .write("one", |out| out.write_all(b"1"))
            .expect("a new file");
        assert!(resume().is_none(), "another has it");
        first.keep();
        let second = resume().expect("free again");
        assert!(second.path().join("one").is_file());
        second.commit().expect("its place");
        assert_eq!((count(&target), count(dir.path())), (1, 1));
        drop(resume().expect("free"));
        assert_eq!(count(dir.path()), 1, "what is not kept vanishes");
    }

    #[test]
    fn a_committed_folder_replaces_what_was_there_whole() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = dir.path().join("run");
        for content in ["one", "two"] {
            staged(&target, content).replace().expect("its place");
        }
        let names: Vec<_> = fs::read_dir(&target)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["two"]);
        assert_eq!(count(dir.path()), 1);
    }

    #[test]
    fn a_place_that_must_be_free_and_is_not_stays_as_it_is() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = dir.path().join("run");
        staged(&target, "one").commit().expect("a free place");
        let error = staged(&target, "two").commit().expect_err("a taken place");
        assert!(error.to_string().ends_with("run"), "{error}");
        assert!(target.join("one").is_file() && !target.join("two").exists());
        assert_eq!(count(dir.path()), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_folder_is_replaced() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (elsewhere, link) = (dir.path().join("disk/run"), dir.path().join("link"));
        fs::create_dir_all(&elsewhere).expect("a folder");
        fs::write(elsewhere.join("old"), "x").expect("writable");
        std::os::unix::fs::symlink("disk/run", &link).expect("a link");
        staged(&link, "new").replace().expect("replaced");
        assert!(link.is_symlink() && !elsewhere.is_symlink());
        assert!(elsewhere.join("new").is_file() && !elsewhere.join("old").exists());
        assert_eq!(count(dir.path()), 2);
        assert_eq!(count(&dir.path().join("disk")), 1);
    }
}
