//! The errors of a sweep.

use std::io;
use std::path::{Path, PathBuf};

use rondo_config::{Difference, PrintError, Violations};
use rondo_files::{FileError, LockError};
use thiserror::Error;

use crate::sheet::SheetError;

/// Why a sweep cannot continue.
#[derive(Debug, Error)]
pub enum SweepError {
    /// A configuration cannot be read.
    #[error(transparent)]
    Config(#[from] Violations),
    /// A configuration cannot be written.
    #[error(transparent)]
    Print(#[from] PrintError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
    /// Another process executes the sweep, or its directory cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file system returned an error.
    #[error("cannot {action} {path}")]
    Io {
        /// The attempted action, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// There is no sweep in the directory.
    #[error("{0} is not a sweep: it has no sweep.toml")]
    NotASweep(PathBuf),
    /// The directory contains something else.
    #[error("{0} holds something that is not a sweep; choose another directory")]
    Foreign(PathBuf),
    /// The directory contains another sweep.
    #[error(
        "{path} was started with another {what}; choose another directory, or undo: {}",
        listed(differences)
    )]
    Changed {
        /// The directory.
        path: PathBuf,
        /// `sweep file` or `base configuration`.
        what: &'static str,
        /// The differing keys, with the old value on the left and the requested one on the right.
        differences: Vec<Difference>,
    },
    /// The mark of an ended run is damaged.
    #[error("{path} is damaged; remove it to run {name} again")]
    Outcome {
        /// The mark.
        path: PathBuf,
        /// The run.
        name: String,
        /// The error of parsing the mark.
        source: serde_json::Error,
    },
    /// The results cannot be laid out as requested.
    #[error("sheet: {0}")]
    Sheet(#[from] SheetError),
    /// A run's process cannot be started or followed.
    #[error("cannot {action} {name}")]
    Process {
        /// The attempted action, as a verb.
        action: &'static str,
        /// The run.
        name: String,
        /// The system's error.
        source: io::Error,
    },
}

/// Returns a function that adds the attempted action and the path to an I/O error.
pub(crate) fn at<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> SweepError + 'a {
    move |source| SweepError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

fn listed(differences: &[Difference]) -> String {
    let shown = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
    let change = |difference: &Difference| {
        let (was, is) = (shown(&difference.left), shown(&difference.right));
        format!("{} was {was} and is {is}", difference.key)
    };
    differences
        .iter()
        .map(change)
        .collect::<Vec<_>>()
        .join("; ")
}
