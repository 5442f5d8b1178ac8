//! The errors of this crate. Each one names the file, what was expected and what was found.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rondo_files::FileError;

/// Why a checkpoint could not be written, found or verified.
///
/// A message does not contain the message of its `source()`: the code that prints an error prints
/// the whole chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file system returned an error, for example because the disk is full, a permission is
    /// missing or a file has vanished.
    #[error(transparent)]
    Io(#[from] FileError),
    /// There is no checkpoint at the requested place.
    #[error("no checkpoint at {path}")]
    NotFound {
        /// The folder that does not exist or contains no checkpoint.
        path: PathBuf,
    },
    /// Checkpoints exist, but none of them is whole.
    #[error("no checkpoint in {dir} is whole: {}", join(rejected))]
    NoneGood {
        /// The `checkpoints` folder.
        dir: PathBuf,
        /// Every checkpoint that was tried, newest first, with the reason.
        rejected: Vec<Rejected>,
    },
    /// A manifest or a caller of `save` uses a file name that is not allowed.
    #[error("{path} names the file {name:?}, {problem}")]
    FileName {
        /// The manifest.
        path: PathBuf,
        /// The file name.
        name: String,
        /// The rule that the name breaks.
        problem: &'static str,
    },
    /// The manifest is larger than any manifest that this program writes.
    #[error("{path} is too large for a manifest: expected at most {cap} bytes, found {actual}")]
    ManifestTooLarge {
        /// The manifest.
        path: PathBuf,
        /// The largest size that is accepted, in bytes.
        cap: u64,
        /// The size of the manifest, in bytes.
        actual: u64,
    },
    /// The manifest is not JSON of the form that this program writes.
    #[error("{path} is not a manifest")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The line, the column and the reason.
        source: serde_json::Error,
    },
    /// The checkpoint has a format that this program cannot read.
    #[error("{path} has checkpoint format {actual}, this program reads format {expected}")]
    Format {
        /// The manifest.
        path: PathBuf,
        /// The format that this program reads.
        expected: u32,
        /// The format in the manifest.
        actual: u32,
    },
    /// The manifest was altered: the hash of its fields differs from its seal.
    #[error("{path} was altered: its seal is {expected}, its fields hash to {actual}")]
    Seal {
        /// The manifest.
        path: PathBuf,
        /// The seal in the manifest.
        expected: String,
        /// The hash of the manifest's fields.
        actual: String,
    },
    /// The step in the folder's name differs from the step in the manifest.
    #[error("{path} is named after step {expected} but holds step {actual}")]
    Step {
        /// The checkpoint folder.
        path: PathBuf,
        /// The step in the folder's name.
        expected: u64,
        /// The step in the manifest.
        actual: u64,
    },
    /// A file of the checkpoint does not exist.
    #[error("{path} is missing")]
    Missing {
        /// The missing file.
        path: PathBuf,
    },
    /// A symbolic link, a folder or a device stands where a regular file is expected.
    #[error("{path} is not a plain file")]
    NotAFile {
        /// The path of the link, folder or device.
        path: PathBuf,
    },
    /// The folder contains a file or folder that the manifest does not name.
    #[error("{path} does not belong to the checkpoint: its manifest does not name it")]
    Foreign {
        /// The unexpected file or folder.
        path: PathBuf,
    },
    /// The size of a file differs from that in the manifest.
    #[error("{path} has the wrong size: expected {expected} bytes, found {actual}")]
    Size {
        /// The damaged file.
        path: PathBuf,
        /// The size in the manifest, in bytes.
        expected: u64,
        /// The size on disk, in bytes.
        actual: u64,
    },
    /// A file has the right size, but other content.
    #[error("{path} is damaged: expected BLAKE3 hash {expected}, found {actual}")]
    Hash {
        /// The damaged file.
        path: PathBuf,
        /// The hash in the manifest, in hexadecimal.
        expected: String,
        /// The hash of the content, in hexadecimal.
        actual: String,
    },
}

/// A checkpoint that was skipped, with the reason.
#[derive(Debug)]
pub struct Rejected {
    /// The step in the folder's name.
    pub step: u64,
    /// The reason. Its message names the file.
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

/// Adds the action and the path to an I/O error.
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
