//! What can be wrong with a folder to import, or with a model to export.

use std::io;
use std::path::{Path, PathBuf};

use rondo_files::TensorError;

use crate::element::Element;
use crate::family::Family;

/// A model cannot be imported or exported; the message names file and tensor or key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InterchangeError {
    /// The file system refused.
    #[error("cannot read {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file is there and is not of the expected form.
    #[error("{path}: {message}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A tensor file cannot be read.
    #[error("{path}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TensorError,
    },
    /// Keys or tensors that this program has no place for, every one of them.
    #[error("cannot import {dir}:\n  {}", problems.join("\n  "))]
    Refused {
        /// The folder.
        dir: PathBuf,
        /// Each with its file and its key or tensor.
        problems: Vec<String>,
    },
    /// A model that the layout has no place for, with every reason.
    #[error("{family}'s layout cannot express this model:\n  {}", reasons.join("\n  "))]
    Inexpressible {
        /// Whose layout it is.
        family: Family,
        /// Each with its key.
        reasons: Vec<String>,
    },
    /// A number that no weight can be.
    #[error("{path}: tensor {tensor} has {value} at element {position}")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// NaN or an infinity.
        value: f32,
        /// Where in the tensor, row major.
        position: usize,
    },
    /// A number that the type asked for cannot hold.
    #[error(
        "{path}: tensor {tensor} has {value} at element {position}, beyond the range of {element}"
    )]
    OutOfRange {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The number.
        value: f32,
        /// Where in the tensor, row major.
        position: usize,
        /// The type.
        element: Element,
    },
}

impl InterchangeError {
    /// Finds the error of this crate that a stream of tensors ended with.
    ///
    /// # Errors
    ///
    /// With the error as it was, where it is another.
    pub fn from_stream(error: io::Error) -> Result<Self, io::Error> {
        error.downcast()
    }

    /// Gives an I/O error the path that it lacks.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Gives an error of a tensor file the path that it lacks.
    pub(crate) fn file(path: &Path) -> impl FnOnce(TensorError) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    /// Returns the error of a file that is not of the expected form.
    pub(crate) fn malformed(path: &Path, message: String) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            message,
        }
    }
}
