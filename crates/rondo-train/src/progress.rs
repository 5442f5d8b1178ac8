//! Everything that is needed to resume a run, except weights and moments.

use rondo_checkpoint::Checkpoint;
use rondo_data::{CorpusIdentity, CurriculumState};
use rondo_metrics::{Event, Record};
use rondo_schedule::RateSum;
use rondo_schedule::control::ControllerState;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::guard::GuardState;

/// The file in a checkpoint that contains the progress.
const PROGRESS_FILE: &str = "progress.json";

/// The progress of a run after its last step. Learning rate, depth, data order and initial states
/// are pure functions of configuration, seed and step, so they are not stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunProgress {
    /// The number of optimizer steps taken.
    pub step: u64,
    /// The number of updates that the optimizer's moments contain. This is the number of steps
    /// since the moments were last reset, without skipped ones.
    pub updates: u64,
    /// The number of training tokens seen.
    pub tokens: u64,
    /// The number of steps whose drawn depth was clamped to the maximum.
    pub clamped: u64,
    /// The state of a task's curriculum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curriculum: Option<CurriculumState>,
    /// The number of skipped updates, and the state for judging the next updates.
    #[serde(default)]
    pub guard: GuardState,
    /// Whether the evaluation after this step was interrupted and is still pending. A resume reruns
    /// it.
    #[serde(default)]
    pub owes_evaluation: bool,
    /// The sum of the learning rates of all updates that were made. `None` in checkpoints of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr_sum: Option<RateSum>,
    /// The training corpus, followed by the corpus of each `data-switch`. Empty for tasks and in
    /// checkpoints of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<CorpusIdentity>,
    /// The state of the controller that adjusts the penalty of the gates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<ControllerState>,
}

impl RunProgress {
    /// Returns the progress of a run before its first step.
    pub fn start(curriculum: Option<CurriculumState>) -> Self {
        Self {
            step: 0,
            updates: 0,
            tokens: 0,
            clamped: 0,
            curriculum,
            guard: GuardState::default(),
            owes_evaluation: false,
            lr_sum: None,
            data: Vec::new(),
            controller: None,
        }
    }

    /// Creates the record of an event. The event is dated to the last step.
    pub fn event(&self, event: Event) -> Record {
        Record::event(self.step, self.tokens, event)
    }

    /// Reads the progress in a checkpoint.
    ///
    /// # Errors
    ///
    /// When the file is missing, damaged or has another format.
    pub fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let bytes = checkpoint.read(PROGRESS_FILE)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let path = checkpoint.path().join(PROGRESS_FILE);
            Error::Foreign(format!("{}: {error}", path.display()))
        })
    }

    /// Returns the name and the content of the file in a checkpoint.
    ///
    /// # Errors
    ///
    /// Never: every progress can be serialized.
    pub fn file(&self) -> Result<(&'static str, Vec<u8>)> {
        let text = serde_json::to_vec_pretty(self).map_err(anyhow::Error::from)?;
        Ok((PROGRESS_FILE, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_of_an_older_version_opens_and_a_new_one_comes_back_to_the_bit() {
        let older = r#"{"step":20,"updates":20,"tokens":2560,"clamped":1}"#;
        let older: RunProgress = serde_json::from_str(older).expect("an older progress");
        assert_eq!((older.lr_sum, older.data.as_slice()), (None, &[][..]));
        let progress = RunProgress {
            lr_sum: Some(RateSum::up_to(1000, |step| 0.1 / step as f64)),
            ..older
        };
        let (_, file) = progress.file().expect("a progress has a form");
        let back: RunProgress = serde_json::from_slice(&file).expect("its own text");
        assert_eq!(back, progress);
    }
}
