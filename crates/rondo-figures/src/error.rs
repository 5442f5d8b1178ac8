//! The reasons why a picture cannot be drawn or saved.

use std::io;
use std::path::PathBuf;

use rondo_files::FileError;

/// An error in the numbers of a picture, or with the folder in which it is saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// The operating system refused to create a folder, or to write or rename a file.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// The refused action, as a verb: `create`, `write`, `rename`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The PNG cannot be drawn.
    #[error("cannot draw {}: {message}", path.display())]
    Raster {
        /// The PNG file.
        path: PathBuf,
        /// The message of the renderer.
        message: String,
    },
    /// There is no number to draw.
    #[error("picture {picture}: nothing to draw: {reason}")]
    Empty {
        /// The picture's name.
        picture: &'static str,
        /// Which numbers are missing.
        reason: String,
    },
    /// Two lengths that must agree are different.
    #[error("picture {picture}: {what}: expected {expected}, found {found}")]
    Length {
        /// The picture's name.
        picture: &'static str,
        /// The series whose length is wrong.
        what: String,
        /// The length that the rest of the input requires.
        expected: usize,
        /// The length that was given.
        found: usize,
    },
    /// A number is outside the range that the picture can show.
    #[error("picture {picture}: {what}: must be {allowed}, found {found}")]
    Range {
        /// The picture's name.
        picture: &'static str,
        /// The number, in words.
        what: String,
        /// The allowed range.
        allowed: String,
        /// The value that was given.
        found: String,
    },
}

impl FigureError {
    /// Makes an error for a picture without a number to draw; `reason` says which numbers are
    /// missing.
    pub(crate) fn empty(picture: &'static str, reason: impl Into<String>) -> Self {
        Self::Empty {
            picture,
            reason: reason.into(),
        }
    }

    /// Makes an error for the number `what`, which is outside the `allowed` range.
    pub(crate) fn range(
        picture: &'static str,
        what: impl Into<String>,
        allowed: impl Into<String>,
        found: &impl ToString,
    ) -> Self {
        Self::Range {
            picture,
            what: what.into(),
            allowed: allowed.into(),
            found: found.to_string(),
        }
    }
}

impl From<FileError> for FigureError {
    fn from(error: FileError) -> Self {
        Self::Io {
            action: error.action,
            path: error.path,
            cause: error.source,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Debug;

    use super::*;

    /// Asserts that `found` is an error whose message ends with `end`.
    #[track_caller]
    pub(crate) fn refused<T: Debug>(found: Result<T, FigureError>, end: &str) {
        let message = found.expect_err("a refusal").to_string();
        assert!(message.ends_with(end), "{message}");
    }
}
