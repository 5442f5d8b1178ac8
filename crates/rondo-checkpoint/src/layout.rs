//! The names of a run's checkpoints on disk, and a list of the existing checkpoints.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{CheckpointError, at};

/// The prefix of a folder that is being written or removed.
pub(crate) const ASIDE: &str = ".tmp-";
/// The prefix of a whole folder that was moved away because the same step is being saved again.
pub(crate) const REPLACED: &str = ".old-";
/// The prefix of a checkpoint that was set aside when the run resumed from an earlier step.
const LEFT: &str = "left-";
const COMMITTED: &str = "step-";

/// The paths in the `checkpoints` folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    checkpoints: PathBuf,
}

impl Layout {
    /// Creates the layout of the run in `run_dir`. Reads and writes nothing.
    pub(crate) fn of(run_dir: &Path) -> Self {
        Self {
            checkpoints: run_dir.join("checkpoints"),
        }
    }

    /// `RUN/checkpoints`.
    pub(crate) fn dir(&self) -> &Path {
        &self.checkpoints
    }

    /// `RUN/checkpoints/latest`: a text file with the name of the newest folder. After a crash the
    /// file may name an older folder. No code of this crate reads the file.
    pub(crate) fn latest(&self) -> PathBuf {
        self.checkpoints.join("latest")
    }

    /// `RUN/checkpoints/step-00000400` for step 400.
    pub(crate) fn step_dir(&self, step: u64) -> PathBuf {
        self.checkpoints.join(name(COMMITTED, step))
    }

    pub(crate) fn aside(&self, step: u64) -> PathBuf {
        self.checkpoints.join(name(ASIDE, step))
    }

    pub(crate) fn left(&self, step: u64) -> PathBuf {
        self.checkpoints.join(name(LEFT, step))
    }

    pub(crate) fn replaced(&self, step: u64) -> PathBuf {
        self.checkpoints.join(name(REPLACED, step))
    }
}

/// A checkpoint folder that exists. Use [`open`](crate::open()) to find out whether the checkpoint
/// is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The step in the folder's name.
    pub step: u64,
    /// The folder.
    pub path: PathBuf,
    /// The total size of the files in the folder, in bytes.
    pub size: u64,
}

/// Lists the run's checkpoints by ascending step. The list is empty if the folder of checkpoints
/// does not exist.
///
/// If a step was being saved again and the save was interrupted, the list may contain the older
/// checkpoint, which was moved away. Symbolic links are not followed.
///
/// # Errors
/// [`CheckpointError::Io`] when a folder exists but cannot be read.
pub fn list(run_dir: &Path) -> Result<Vec<Entry>, CheckpointError> {
    let mut entries = Vec::new();
    for (step, path) in newest_of_each(candidates(&Layout::of(run_dir))?) {
        match size_of(&path) {
            Ok(size) => entries.push(Entry { step, path, size }),
            // The checkpoint was removed between the two reads, by the process that trains in this
            // folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at("list", &path)(error)),
        }
    }
    Ok(entries)
}

/// Returns every folder that may be a checkpoint, by ascending step. If the save of a step was
/// interrupted, the step may have two folders. The older folder comes first.
pub(crate) fn candidates(layout: &Layout) -> Result<Vec<(u64, PathBuf)>, CheckpointError> {
    let mut found = Vec::new();
    for (name, path) in folders(layout.dir())? {
        if let Some(step) = step_of_checkpoint(&name) {
            found.push((step, path));
        }
    }
    // The sort is stable, so of two folders for one step the replaced one (`.old-*`) stays first.
    found.sort_by_key(|(step, _)| *step);
    Ok(found)
}

/// Returns one folder for each step: the newer one if the step has two.
pub(crate) fn newest_of_each(candidates: Vec<(u64, PathBuf)>) -> BTreeMap<u64, PathBuf> {
    candidates.into_iter().collect()
}

/// Returns the folders directly in `dir`, by name. Names that are not UTF-8 are left out.
pub(crate) fn folders(dir: &Path) -> Result<BTreeMap<String, PathBuf>, CheckpointError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(at("list", dir)(error)),
    };
    let mut folders = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(at("list", dir))?;
        let is_folder = entry.file_type().map_err(at("list", dir))?.is_dir();
        if let (true, Ok(name)) = (is_folder, entry.file_name().into_string()) {
            folders.insert(name, entry.path());
        }
    }
    Ok(folders)
}

/// Returns the step in the name of a committed or replaced folder.
pub(crate) fn step_in_name(path: &Path) -> Option<u64> {
    step_of_checkpoint(path.file_name()?.to_str()?)
}

fn step_of_checkpoint(name: &str) -> Option<u64> {
    step_of(name, COMMITTED).or_else(|| step_of(name, REPLACED))
}

/// Returns the step in the name of a folder. `None` if the function `name` gives this step and
/// `prefix` another name.
pub(crate) fn step_of(name: &str, prefix: &str) -> Option<u64> {
    let step = name.strip_prefix(prefix)?.parse().ok()?;
    (self::name(prefix, step) == name).then_some(step)
}

fn name(prefix: &str, step: u64) -> String {
    format!("{prefix}{step:08}")
}

pub(crate) fn size_of(dir: &Path) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(dir)? {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_one_spelling() {
        assert_eq!(step_of("step-00000400", COMMITTED), Some(400));
        assert_eq!(step_of("step-123456789", COMMITTED), Some(123_456_789));
        for name in [
            "step-400",
            "step-+0000400",
            "step-0123456789",
            "step-",
            "Step-00000400",
        ] {
            assert_eq!(step_of(name, COMMITTED), None, "{name}");
        }
    }

    #[test]
    fn a_run_without_checkpoints_lists_none() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(list(dir.path()).expect("an empty list"), []);
    }
}
