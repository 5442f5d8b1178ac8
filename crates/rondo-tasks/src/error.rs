//! The errors in files of items.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// An error in a task, with its file and, for an item, its line.
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
        /// What is wrong with the file or the folder.
        message: String,
    },
    /// An item has the wrong form.
    #[error("{}:{line}: {message}", path.display())]
    Item {
        /// The file of the item.
        path: PathBuf,
        /// The line of the item, counted from 1.
        line: usize,
        /// What is wrong with the item.
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

    /// Returns an error about the item in a line of a file.
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
