//! Whether a run that is there is resumed, and from which checkpoint.

use std::path::PathBuf;

/// What to do about a run directory that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Go on where there is something to go on with.
    Auto,
    /// Start anew or not at all.
    Never,
    /// Go on with this run, or from this checkpoint of one.
    From(PathBuf),
}

impl Resume {
    /// Returns whether one checkpoint is named, rather than a run.
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
