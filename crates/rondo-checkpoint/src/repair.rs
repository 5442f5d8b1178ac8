//! Undoes what an error or a killed process left incomplete.

use std::io;
use std::path::Path;

use rondo_files::{Disk, if_there};

use crate::error::{CheckpointError, at};
use crate::layout::{ASIDE, Layout, REPLACED, folders, step_of};
use crate::open::is_whole;

/// Removes folders that were being written or removed. If an interrupted save left two folders for
/// one step, the newer folder stays. The older folder stays instead if only the older one is whole.
///
/// # Errors
/// [`CheckpointError::Io`]. After an error, the next call continues the repair.
pub(crate) fn repair(disk: &impl Disk, layout: &Layout) -> Result<(), CheckpointError> {
    let folders = folders(layout.dir())?;
    for (_, path) in folders.iter().filter(|(name, _)| name.starts_with(ASIDE)) {
        remove_if_there(disk, path)?;
    }
    for (name, replaced) in &folders {
        let Some(step) = step_of(name, REPLACED) else {
            continue;
        };
        let committed = layout.step_dir(step);
        let aside = layout.aside(step);
        if !committed.is_dir() {
            rename(disk, replaced, &committed)?;
        } else if is_whole(&committed) || !is_whole(replaced) {
            discard(disk, replaced, &aside)?;
        } else {
            rename(disk, &committed, &aside)?;
            rename(disk, replaced, &committed)?;
            remove_if_there(disk, &aside)?;
        }
    }
    Ok(())
}

/// Removes the checkpoint in `dir` if there is one. The folder is first renamed to `aside`, so that
/// no reader finds it half removed.
pub(crate) fn discard(disk: &impl Disk, dir: &Path, aside: &Path) -> Result<(), CheckpointError> {
    match disk.rename(dir, aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at("remove", dir)(error)),
        Ok(()) => remove_if_there(disk, aside),
    }
}

fn remove_if_there(disk: &impl Disk, dir: &Path) -> Result<(), CheckpointError> {
    if_there(disk.remove_dir_all(dir)).map_err(at("remove", dir))
}

fn rename(disk: &impl Disk, from: &Path, to: &Path) -> Result<(), CheckpointError> {
    disk.rename(from, to).map_err(at("rename", from))
}
