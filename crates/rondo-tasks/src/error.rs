//! What can be wrong with a file of items.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// An error in a task, with its file and, if it has one, its line.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A file or a folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file or the folder.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file or a folder has the wrong form.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or the folder.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// An item has the wrong form.
    #[error("{}:{line}: {message}", path.display())]
    Item {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

impl TaskError {
    /// Returns an error about a file.
    pub fn file(path: &Path, message: impl Display) -> Self {
        Self::File {
            path: path.to_owned(),
            message: message.to_string(),
        }
    }

    /// Returns an error about the item in a line.
    pub fn item(path: &Path, line: usize, message: impl Display) -> Self {
        Self::Item {
            path: path.to_owned(),
            line,
            message: message.to_string(),
        }
    }
}

/// The result type of this crate.
pub type Result<T, E = TaskError> = std::result::Result<T, E>;
