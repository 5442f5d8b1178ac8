//! Whether an existing run is resumed, and from which checkpoint.

use std::path::PathBuf;

/// What to do if the run directory exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Resume if there is something to resume.
    Auto,
    /// Start a new run; never resume.
    Never,
    /// Resume this run, or a run from this checkpoint.
    From(PathBuf),
}

impl Resume {
    /// Returns whether it names a checkpoint instead of a run.
    pub fn names_a_checkpoint(&self) -> bool {
        matches!(self, Self::From(path) if path.join("manifest.json").is_file())
    }
}

impl From<&str> for Resume {
    fn from(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "never" => Self::Never,
            path => Self::From(PathBuf::from(path)),
        }
    }
}
