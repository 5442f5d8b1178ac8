//! Everything that can keep a picture from being drawn.

use std::io;
use std::path::PathBuf;

use rondo_files::FileError;

/// What is wrong with the numbers of a picture or with the folder it goes to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// The operating system refused a folder, a write, a rename.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// What was attempted, as a verb: `create`, `write`, `rename`.
        action: &'static str,
        /// The file or folder it was attempted on.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// The PNG cannot be made.
    #[error("cannot draw {}: {message}", path.display())]
    Raster {
        /// The file it was meant for.
        path: PathBuf,
        /// What the rasteriser says.
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
    /// Two lengths that must agree do not.
    #[error("picture {picture}: {what}: expected {expected}, found {found}")]
    Length {
        /// The picture's name.
        picture: &'static str,
        /// Whose length.
        what: String,
        /// The length that the rest of the input asks for.
        expected: usize,
        /// The length that was given.
        found: usize,
    },
    /// A number lies outside what the picture can show.
    #[error("picture {picture}: {what}: must be {allowed}, found {found}")]
    Range {
        /// The picture's name.
        picture: &'static str,
        /// Which number.
        what: String,
        /// What it may be.
        allowed: String,
        /// What it is.
        found: String,
    },
}

impl FigureError {
    /// Says that a picture has nothing to draw, and which numbers are missing.
    pub(crate) fn empty(picture: &'static str, reason: impl Into<String>) -> Self {
        Self::Empty {
            picture,
            reason: reason.into(),
        }
    }

    /// Says which number lies outside what a picture can show, and what it may be.
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

    /// Asserts that something is refused with a message that ends with these words.
    #[track_caller]
    pub(crate) fn refused<T: Debug>(found: Result<T, FigureError>, end: &str) {
        let message = found.expect_err("a refusal").to_string();
        assert!(message.ends_with(end), "{message}");
    }
}
