//! What a run has: every checkpoint, and whether it is whole.

use std::path::{Path, PathBuf};

use crate::error::CheckpointError;
use crate::layout::{Layout, candidates, size_of};
use crate::open::{read_manifest, verify};

/// The checkpoints of a run.
#[derive(Debug)]
pub struct Survey {
    /// All of them, by ascending step. A step whose save was interrupted by the death of the
    /// process may occur twice, the older first.
    pub checkpoints: Vec<Surveyed>,
    /// The step that [`open_newest_good`](crate::open_newest_good) chooses; none if no checkpoint
    /// was found whole, or if none was verified.
    pub newest_good: Option<u64>,
}

/// One checkpoint of a run.
#[derive(Debug)]
pub struct Surveyed {
    /// The step in the folder's name.
    pub step: u64,
    /// The folder.
    pub path: PathBuf,
    /// The size of its files together, in bytes; 0 where the folder cannot be read.
    pub size: u64,
    /// The program and version that wrote it; none where the manifest cannot be read.
    pub created_by: Option<String>,
    /// The hash of the configuration that it was trained with; none where the manifest cannot be read.
    pub config_hash: Option<String>,
    /// Whether it is whole.
    pub state: State,
}

/// What is known of a checkpoint.
#[derive(Debug)]
pub enum State {
    /// Its manifest is in order; its other files were not read.
    NotVerified,
    /// Every file is what the manifest says.
    Whole,
    /// It cannot be trusted; the error names the file.
    Damaged(CheckpointError),
}

/// Lists the checkpoints of the run in `run_dir`; `verify` reads and hashes all of each.
///
/// A checkpoint that the training process removes meanwhile is left out.
///
/// # Errors
/// [`CheckpointError::Io`] when the `checkpoints` folder exists and cannot be read. What is wrong
/// with one checkpoint is its [`State`].
pub fn survey(run_dir: &Path, verify: bool) -> Result<Survey, CheckpointError> {
    let mut checkpoints = Vec::new();
    for (step, path) in candidates(&Layout::of(run_dir))? {
        let surveyed = look_at(step, path, verify);
        if surveyed.path.is_dir() {
            checkpoints.push(surveyed);
        }
    }
    let mut newest_first = checkpoints.iter().rev();
    let newest_good = newest_first.find(|surveyed| matches!(surveyed.state, State::Whole));
    Ok(Survey {
        newest_good: newest_good.map(|surveyed| surveyed.step),
        checkpoints,
    })
}

fn look_at(step: u64, path: PathBuf, all: bool) -> Surveyed {
    let manifest = read_manifest(&path);
    let told = manifest.as_ref().ok();
    let created_by = told.map(|it| it.created_by.clone());
    let config_hash = told.map(|it| it.config_hash.clone());
    let state = match manifest {
        Err(error) => State::Damaged(error),
        Ok(_) if !all => State::NotVerified,
        Ok(_) => match verify(path.clone()) {
            Err(error) => State::Damaged(error),
            Ok(_) => State::Whole,
        },
    };
    Surveyed {
        step,
        size: size_of(&path).unwrap_or(0),
        path,
        created_by,
        config_hash,
        state,
    }
}
