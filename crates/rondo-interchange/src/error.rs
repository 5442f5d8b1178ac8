//! The errors of an import or an export.

use std::io;
use std::path::{Path, PathBuf};

use rondo_files::TensorError;

use crate::element::Element;
use crate::family::Family;

/// Why a model cannot be imported or exported. The message names the file and the tensor or key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InterchangeError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file exists but does not have the expected form.
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
    /// Keys or tensors that this program does not support. All of them are reported together.
    #[error("cannot import {dir}:\n  {}", problems.join("\n  "))]
    Refused {
        /// The folder.
        dir: PathBuf,
        /// The problems, each with its file and its key or tensor.
        problems: Vec<String>,
    },
    /// A model that the layout cannot express, with every reason.
    #[error("{family}'s layout cannot express this model:\n  {}", reasons.join("\n  "))]
    Inexpressible {
        /// The family of the layout.
        family: Family,
        /// The reasons, each with its key.
        reasons: Vec<String>,
    },
    /// A weight that is NaN or infinite.
    #[error("{path}: tensor {tensor} has {value} at element {position}")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// NaN or an infinity.
        value: f32,
        /// Index of the element in the tensor, row major.
        position: usize,
    },
    /// A number beyond the range of the type to be written.
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
        /// Index of the element in the tensor, row major.
        position: usize,
        /// The type to be written.
        element: Element,
    },
}

impl InterchangeError {
    /// Extracts this crate's error from the error of a stream of tensors.
    ///
    /// # Errors
    ///
    /// Returns the given error unchanged if it has another cause.
    pub fn from_stream(error: io::Error) -> Result<Self, io::Error> {
        error.downcast()
    }

    /// Adds a path to an I/O error.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// Adds a path to an error of a tensor file.
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
