//! Lists every checkpoint of a run, and whether it is whole.

use std::path::{Path, PathBuf};

use crate::error::CheckpointError;
use crate::layout::{Layout, candidates, size_of};
use crate::open::{read_manifest, verify};

/// The checkpoints of a run.
#[derive(Debug)]
pub struct Survey {
    /// All checkpoints, by ascending step. If a save was interrupted because its process died, its
    /// step may occur twice; the older checkpoint comes first.
    pub checkpoints: Vec<Surveyed>,
    /// The step that [`open_newest_good`](crate::open_newest_good) chooses. `None` if no checkpoint
    /// is whole, or if the checkpoints were not verified.
    pub newest_good: Option<u64>,
}

/// One checkpoint of a run.
#[derive(Debug)]
pub struct Surveyed {
    /// The step in the folder's name.
    pub step: u64,
    /// The folder.
    pub path: PathBuf,
    /// The total size of the checkpoint's files, in bytes; 0 where the folder cannot be read.
    pub size: u64,
    /// The program and version that wrote the checkpoint. `None` where the manifest cannot be read.
    pub created_by: Option<String>,
    /// The hash of the configuration that the checkpoint was trained with. `None` where the
    /// manifest cannot be read.
    pub config_hash: Option<String>,
    /// Whether the checkpoint is whole.
    pub state: State,
}

/// The state of a checkpoint.
#[derive(Debug)]
pub enum State {
    /// The manifest is valid. The other files were not read.
    NotVerified,
    /// Every file has the size and hash in the manifest.
    Whole,
    /// The checkpoint is damaged. The error names the file.
    Damaged(CheckpointError),
}

/// Lists the checkpoints of the run in `run_dir`. With `verify`, reads and hashes every file of
/// each checkpoint.
///
/// A checkpoint that the training process removes during the survey is left out.
///
/// # Errors
/// [`CheckpointError::Io`] when the `checkpoints` folder exists but cannot be read. An error in one
/// checkpoint becomes the [`State`] of that checkpoint.
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
