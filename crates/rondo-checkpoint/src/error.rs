//! The errors of this crate: each names the file, what was expected and what was found.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rondo_files::FileError;

/// A checkpoint could not be written, found or trusted.
///
/// The messages leave out their `source()`: the code that prints them prints the whole chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file system refused: disk full, quota, permissions, a file that vanished.
    #[error(transparent)]
    Io(#[from] FileError),
    /// There is no checkpoint at the requested place.
    #[error("no checkpoint at {path}")]
    NotFound {
        /// The folder that does not exist, or that contains no checkpoint.
        path: PathBuf,
    },
    /// Checkpoints exist and not one of them verifies.
    #[error("no checkpoint in {dir} is whole: {}", join(rejected))]
    NoneGood {
        /// The `checkpoints` folder.
        dir: PathBuf,
        /// Every checkpoint tried, newest first, with the reason.
        rejected: Vec<Rejected>,
    },
    /// A manifest, or a caller of `save`, names a file in a way that is not allowed.
    #[error("{path} names the file {name:?}, {problem}")]
    FileName {
        /// The manifest.
        path: PathBuf,
        /// The offending name.
        name: String,
        /// Which rule it breaks.
        problem: &'static str,
    },
    /// The manifest is larger than any that this program writes.
    #[error("{path} is too large for a manifest: expected at most {cap} bytes, found {actual}")]
    ManifestTooLarge {
        /// The manifest.
        path: PathBuf,
        /// The largest size accepted, in bytes.
        cap: u64,
        /// Its size in bytes.
        actual: u64,
    },
    /// The manifest is not the JSON that this program writes.
    #[error("{path} is not a manifest")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// The manifest was written by a program with another format.
    #[error("{path} has checkpoint format {actual}, this program reads format {expected}")]
    Format {
        /// The manifest.
        path: PathBuf,
        /// The format this program reads.
        expected: u32,
        /// The format found.
        actual: u32,
    },
    /// The manifest's own fields do not hash to the seal it carries.
    #[error("{path} was altered: its seal is {expected}, its fields hash to {actual}")]
    Seal {
        /// The manifest.
        path: PathBuf,
        /// The seal written in it.
        expected: String,
        /// The hash of its fields.
        actual: String,
    },
    /// A folder named after one step holds the checkpoint of another.
    #[error("{path} is named after step {expected} but holds step {actual}")]
    Step {
        /// The checkpoint folder.
        path: PathBuf,
        /// The step in the folder's name.
        expected: u64,
        /// The step in the manifest.
        actual: u64,
    },
    /// A file that belongs to the checkpoint is not there.
    #[error("{path} is missing")]
    Missing {
        /// The absent file.
        path: PathBuf,
    },
    /// A symbolic link, a folder or a device is in the place of a plain file.
    #[error("{path} is not a plain file")]
    NotAFile {
        /// What was found.
        path: PathBuf,
    },
    /// The folder contains something the manifest does not name.
    #[error("{path} does not belong to the checkpoint: its manifest does not name it")]
    Foreign {
        /// The unexpected file or folder.
        path: PathBuf,
    },
    /// The file was truncated or extended.
    #[error("{path} has the wrong size: expected {expected} bytes, found {actual}")]
    Size {
        /// The damaged file.
        path: PathBuf,
        /// Size in the manifest, in bytes.
        expected: u64,
        /// Size on disk, in bytes.
        actual: u64,
    },
    /// The file has the right size and the wrong content.
    #[error("{path} is damaged: expected BLAKE3 hash {expected}, found {actual}")]
    Hash {
        /// The damaged file.
        path: PathBuf,
        /// Hash in the manifest, in hexadecimal.
        expected: String,
        /// Hash of the content, in hexadecimal.
        actual: String,
    },
}

/// A checkpoint that was skipped, and why.
#[derive(Debug)]
pub struct Rejected {
    /// The step in the folder's name.
    pub step: u64,
    /// The reason; it names the file.
    pub why: CheckpointError,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.why)?;
        let mut cause = std::error::Error::source(&self.why);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Gives an I/O error the verb and the path that it lacks.
pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    move |source| rondo_files::at(action, path)(source).into()
}

fn join(rejected: &[Rejected]) -> String {
    rejected
        .iter()
        .map(Rejected::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
