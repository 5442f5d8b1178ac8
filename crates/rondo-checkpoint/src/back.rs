//! Sets checkpoints aside when a run resumes from an earlier step.

use std::path::PathBuf;

use rondo_files::{Disk, FileSystem, RunLock, replace};

use crate::error::{CheckpointError, at};
use crate::layout::{Layout, candidates, newest_of_each};
use crate::repair::{discard, repair};

/// Sets aside the checkpoints of steps later than `step`, from which the run resumes. Each of these
/// folders is renamed to `left-*`. A reader that looks for the newest checkpoint no longer finds
/// these folders, but [`Which::Path`](crate::Which::Path) still opens them. Returns their new
/// paths.
/// A checkpoint of the same step that was set aside earlier is replaced.
///
/// # Errors
/// [`CheckpointError::Io`]. After an error, some of the later checkpoints may not be set aside yet.
pub fn set_back(lock: &RunLock, step: u64) -> Result<Vec<PathBuf>, CheckpointError> {
    set_back_on(&FileSystem, lock, step)
}

/// Does what [`set_back`] does, on any disk.
pub(crate) fn set_back_on(
    disk: &impl Disk,
    lock: &RunLock,
    step: u64,
) -> Result<Vec<PathBuf>, CheckpointError> {
    let layout = Layout::of(lock.run_dir());
    repair(disk, &layout)?;
    let mut later = newest_of_each(candidates(&layout)?);
    later.retain(|&found, _| found > step);
    if later.is_empty() {
        return Ok(Vec::new());
    }
    let mut left = Vec::new();
    // The newest is moved first. If this loop stops early, the remaining checkpoints have no gap.
    for (found, path) in later.into_iter().rev() {
        let target = layout.left(found);
        discard(disk, &target, &layout.aside(found))?;
        disk.rename(&path, &target).map_err(at("rename", &path))?;
        left.push(target);
    }
    disk.sync_dir(layout.dir())
        .map_err(at("sync", layout.dir()))?;
    let from = layout.step_dir(step);
    if let Some(name) = from.file_name().filter(|_| from.is_dir()) {
        let name = name.to_string_lossy();
        replace(disk, &layout.latest(), |out| writeln!(out, "{name}"))?;
    }
    Ok(left)
}
