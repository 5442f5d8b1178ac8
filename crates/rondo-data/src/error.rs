//! The errors of this crate.

use std::io;
use std::path::{Path, PathBuf};

use rondo_files::{FileError, looked_in};

/// What is wrong with a corpus, a tokenizer, a shard or a token file, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused to read, write or rename.
    #[error("cannot {action} {}: {cause}{}", path.display(), looked_in(path, cause))]
    Io {
        /// What was attempted, as a verb: `read`, `write`, `rename`.
        action: &'static str,
        /// The file or folder on which it was attempted.
        path: PathBuf,
        /// The system's answer.
        cause: io::Error,
    },
    /// A file of a corpus cannot be read as documents.
    #[error("{}: {message}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A line of a `.jsonl` file is not a document.
    #[error("{}:{line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// The corpus as a whole cannot be used.
    #[error("{0}")]
    Corpus(String),
    /// The sources of the dependencies cannot be found.
    #[error(
        "cannot read the default corpus, the sources of the pinned dependencies: {0}; \
         give another corpus with `[data] paths = [\"FILE-OR-FOLDER\"]` or `--set data.paths=[\"..\"]`, or train on the \
         text inside the program: `trainer --shipped first`"
    )]
    Dependencies(String),
    /// A tokenizer cannot be loaded, trained or applied.
    #[error("tokenizer {name}: {message}")]
    Tokenizer {
        /// The file of the tokenizer, or a word for a tokenizer without a file.
        name: String,
        /// What is wrong with it.
        message: String,
    },
    /// A token file breaks a rule of its format.
    #[error("{}: {what}: expected {expected}, found {actual}", path.display())]
    Shard {
        /// The file.
        path: PathBuf,
        /// The quantity that is wrong.
        what: &'static str,
        /// The value that the format or the tokenizer requires.
        expected: String,
        /// What the file holds.
        actual: String,
    },
    /// A token id is outside the vocabulary.
    #[error(
        "{}: token {id} at {position} lies beyond the vocabulary of {vocab_size} tokens",
        path.display()
    )]
    TokenBeyondVocabulary {
        /// The file.
        path: PathBuf,
        /// Where in the file: `position 7`, or `row 2, position 7`.
        position: String,
        /// The id.
        id: u64,
        /// The number of tokens in the vocabulary.
        vocab_size: usize,
    },
    /// There are too few tokens to make one row.
    #[error(
        "the tokens for {part} are too few: a row of seq {seq} needs {} tokens, found {tokens}; \
         use a larger corpus or a smaller seq",
        seq + 1
    )]
    TooShort {
        /// `training` or `validation`, and in a mixture the name of the source.
        part: String,
        /// The number of positions in a row.
        seq: usize,
        /// The number of tokens found.
        tokens: usize,
    },
    /// One source of a mixture cannot be used.
    #[error("source `{name}`: {cause}")]
    Source {
        /// The name of the source.
        name: String,
        /// What is wrong with it.
        cause: Box<DataError>,
    },
    /// The progress callback asked to stop.
    #[error("interrupted while a corpus was prepared; the same command resumes it")]
    Interrupted,
    /// The configuration breaks its own rules.
    #[error("invalid [data]: {0}")]
    Config(String),
}

impl DataError {
    /// Returns a function for `map_err` that adds the action and the path to an I/O error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::Io {
            action,
            path,
            cause,
        }
    }
}

impl From<FileError> for DataError {
    fn from(error: FileError) -> Self {
        Self::Io {
            action: error.action,
            path: error.path,
            cause: error.source,
        }
    }
}
