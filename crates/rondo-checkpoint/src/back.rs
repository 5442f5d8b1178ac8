//! Going back: what lies after the step that a run goes on from is set aside.

use std::path::PathBuf;

use rondo_files::{Disk, FileSystem, RunLock, replace};

use crate::error::{CheckpointError, at};
use crate::layout::{Layout, candidates, newest_of_each};
use crate::repair::{discard, repair};

/// Sets the checkpoints of later steps than `step` aside, each as `left-*`: the run goes another way from there, and
/// to whoever looks for its newest checkpoint they no longer belong to it. [`Which::Path`](crate::Which::Path)
/// still opens them. Returns where they are; one that was set aside earlier gives way to another of its step.
///
/// # Errors
/// [`CheckpointError::Io`]; what is not yet set aside is then still the run's.
pub fn set_back(lock: &RunLock, step: u64) -> Result<Vec<PathBuf>, CheckpointError> {
    set_back_on(&FileSystem, lock, step)
}

/// [`set_back`] on any disk.
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
    // The newest first: wherever this ends, the newest that remains has all before it.
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
