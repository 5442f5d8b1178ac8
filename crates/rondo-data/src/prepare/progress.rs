//! The progress of a preparation.

use std::ops::ControlFlow;

use crate::error::DataError;

/// The phases of a preparation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreparePhase {
    /// Downloading a file of the Hub; counts bytes.
    Downloading {
        /// The number of the file, counted from 1.
        file: usize,
        /// How many files there are.
        files: usize,
    },
    /// Reading the corpus to see its documents; counts bytes on disk.
    Reading,
    /// Training the tokenizer; counts merges.
    TrainingTokenizer,
    /// Encoding the documents; counts bytes on disk.
    Encoding,
    /// Writing the tokens of both parts; counts tokens.
    Writing,
}

/// The progress within a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareProgress {
    /// The phase.
    pub phase: PreparePhase,
    /// The number of units that are done.
    pub done: u64,
    /// The number of units in all.
    pub total: u64,
}

/// Receives the progress. Returns whether to continue.
pub type Tell<'a> = &'a mut dyn FnMut(PrepareProgress) -> ControlFlow<()>;

impl PrepareProgress {
    /// Reports the progress.
    pub(super) fn tell(self, progress: Tell<'_>) -> Result<(), DataError> {
        match progress(self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(DataError::Interrupted),
        }
    }
}
