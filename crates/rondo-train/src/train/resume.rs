//! Whether an existing run is resumed, and from which checkpoint.

use std::path::PathBuf;

/// What to do if the run directory contains a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Resume the run if the run has a checkpoint. Otherwise start a new run.
    Auto,
    /// Start a new run; never resume.
    Never,
    /// Resume the run in this directory, or resume from the checkpoint in this directory.
    From(PathBuf),
}

impl Resume {
    /// Returns whether this is [`Resume::From`] with the directory of a checkpoint. The directory
    /// of a checkpoint contains `manifest.json`.
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
