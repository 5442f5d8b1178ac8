//! Opens checkpoints. All of a checkpoint is verified before any part of it is used.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rondo_files::read_capped;

use crate::error::{CheckpointError, Rejected, at};
use crate::layout::{Layout, candidates, newest_of_each, step_in_name};
use crate::manifest::{FileRecord, MANIFEST, MAX_MANIFEST, Manifest, hex};

/// Chooses a checkpoint of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The checkpoint with the highest step.
    Latest,
    /// The checkpoint of this step.
    Step(u64),
    /// The checkpoint in this folder, which may be anywhere and have any name.
    Path(PathBuf),
}

/// A checkpoint that was whole when it was opened.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    manifest: Manifest,
}

/// Opens the checkpoint that `which` chooses from the run in `run_dir`, and verifies all of it.
///
/// # Errors
/// [`CheckpointError::NotFound`] when there is no such checkpoint; any other variant when the
/// checkpoint is not whole.
pub fn open(run_dir: &Path, which: &Which) -> Result<Checkpoint, CheckpointError> {
    let layout = Layout::of(run_dir);
    let (chosen, place) = match which {
        Which::Path(path) => (path.is_dir().then(|| path.clone()), path.clone()),
        Which::Step(step) => {
            let path = newest_of_each(candidates(&layout)?).remove(step);
            (path, layout.step_dir(*step))
        }
        Which::Latest => {
            let newest = candidates(&layout)?.pop();
            (newest.map(|(_, path)| path), layout.dir().to_path_buf())
        }
    };
    verify(chosen.ok_or(CheckpointError::NotFound { path: place })?)
}

/// Opens the newest whole checkpoint. Also returns the newer checkpoints, which are all damaged,
/// with their errors. `None` if the run has no checkpoints.
///
/// If the save of a step was interrupted, the step may have two folders. The newer folder is tried
/// first.
///
/// # Errors
/// [`CheckpointError::NoneGood`] when checkpoints exist but none is whole: such a run must not
/// silently start again from the beginning. [`CheckpointError::Io`] when the folder cannot be
/// listed.
pub fn open_newest_good(
    run_dir: &Path,
) -> Result<Option<(Checkpoint, Vec<Rejected>)>, CheckpointError> {
    let layout = Layout::of(run_dir);
    let mut rejected = Vec::new();
    for (step, path) in candidates(&layout)?.into_iter().rev() {
        match verify(path) {
            Ok(checkpoint) => return Ok(Some((checkpoint, rejected))),
            Err(why) => rejected.push(Rejected { step, why }),
        }
    }
    if rejected.is_empty() {
        return Ok(None);
    }
    Err(CheckpointError::NoneGood {
        dir: layout.dir().to_path_buf(),
        rejected,
    })
}

impl Checkpoint {
    /// Returns the checkpoint's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of optimizer steps taken.
    pub fn step(&self) -> u64 {
        self.manifest.step
    }

    /// Returns the checkpoint's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads one file of the checkpoint, and verifies the bytes that are returned.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`] when the manifest names no such file or the file no longer
    /// exists; [`CheckpointError::Size`] or [`CheckpointError::Hash`] when the file has changed
    /// since the checkpoint was opened.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        let (path, record) = self.record(name)?;
        let mut bytes = Vec::new();
        open_sized(&path, record)?
            .read_to_end(&mut bytes)
            .map_err(at("read", &path))?;
        check_hash(path, record, blake3::hash(&bytes))?;
        Ok(bytes)
    }

    /// Opens one file of the checkpoint, to be read in parts. The bytes were verified when the
    /// checkpoint was opened and are not verified again.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`] when the manifest names no such file or the file no longer
    /// exists; [`CheckpointError::Size`] when its size has changed since the checkpoint was opened.
    pub fn file(&self, name: &str) -> Result<File, CheckpointError> {
        let (path, record) = self.record(name)?;
        Ok(open_sized(&path, record)?.into_inner())
    }

    fn record(&self, name: &str) -> Result<(PathBuf, &FileRecord), CheckpointError> {
        let path = self.path.join(name);
        let mut records = self.manifest.files.iter();
        match records.find(|record| record.name == name) {
            Some(record) => Ok((path, record)),
            None => Err(CheckpointError::Missing { path }),
        }
    }
}

/// Returns whether the checkpoint in this folder is whole.
pub(crate) fn is_whole(path: &Path) -> bool {
    verify(path.to_path_buf()).is_ok()
}

/// Reads all of a checkpoint and compares each file with the manifest.
pub(crate) fn verify(path: PathBuf) -> Result<Checkpoint, CheckpointError> {
    let manifest = read_manifest(&path)?;
    if let Some(expected) = step_in_name(&path)
        && expected != manifest.step
    {
        return Err(CheckpointError::Step {
            path,
            expected,
            actual: manifest.step,
        });
    }
    refuse_foreign(&path, &manifest)?;
    for record in &manifest.files {
        let file = path.join(&record.name);
        let mut hasher = blake3::Hasher::new();
        hasher
            .update_reader(open_sized(&file, record)?)
            .map_err(at("read", &file))?;
        check_hash(file, record, hasher.finalize())?;
    }
    Ok(Checkpoint { path, manifest })
}

/// Reads the manifest of the checkpoint in `dir`.
pub(crate) fn read_manifest(dir: &Path) -> Result<Manifest, CheckpointError> {
    let path = dir.join(MANIFEST);
    let (file, actual) = open_plain(&path)?;
    match read_capped(file, MAX_MANIFEST).map_err(at("read", &path))? {
        Some(bytes) => Manifest::parse(&bytes, &path),
        None => Err(CheckpointError::ManifestTooLarge {
            path,
            cap: MAX_MANIFEST,
            actual,
        }),
    }
}

/// Refuses a folder that contains a file or folder that the manifest does not name. The error
/// contains the first of these names in ascending order.
fn refuse_foreign(dir: &Path, manifest: &Manifest) -> Result<(), CheckpointError> {
    let mut names = BTreeSet::<OsString>::new();
    for entry in fs::read_dir(dir).map_err(at("list", dir))? {
        names.insert(entry.map_err(at("list", dir))?.file_name());
    }
    names.remove(OsStr::new(MANIFEST));
    for record in &manifest.files {
        names.remove(OsStr::new(&record.name));
    }
    match names.first() {
        Some(foreign) => Err(CheckpointError::Foreign {
            path: dir.join(foreign),
        }),
        None => Ok(()),
    }
}

/// Opens a file of the recorded size. The reader ends after this number of bytes.
fn open_sized(path: &Path, record: &FileRecord) -> Result<io::Take<File>, CheckpointError> {
    let (file, actual) = open_plain(path)?;
    if actual != record.size {
        let (path, expected) = (path.to_path_buf(), record.size);
        return Err(CheckpointError::Size {
            path,
            expected,
            actual,
        });
    }
    Ok(file.take(actual))
}

/// Opens a regular file. Other kinds are refused: a link could lead anywhere, and reading a pipe
/// could wait forever.
fn open_plain(path: &Path) -> Result<(File, u64), CheckpointError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(CheckpointError::Missing {
            path: path.to_path_buf(),
        }),
        Err(error) => Err(at("read", path)(error)),
        Ok(metadata) if !metadata.is_file() => Err(CheckpointError::NotAFile {
            path: path.to_path_buf(),
        }),
        Ok(metadata) => Ok((File::open(path).map_err(at("read", path))?, metadata.len())),
    }
}

fn check_hash(
    path: PathBuf,
    record: &FileRecord,
    actual: blake3::Hash,
) -> Result<(), CheckpointError> {
    let (expected, actual) = (record.blake3.clone(), hex(actual));
    if expected == actual {
        return Ok(());
    }
    Err(CheckpointError::Hash {
        path,
        expected,
        actual,
    })
}
