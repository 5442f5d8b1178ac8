//! The failures of a run, the findings that report them, and the verdict on a run.

use std::fmt;

use rondo_metrics::{Event, Record, RecordError};
use serde::Serialize;

/// A failure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The states of all tokens have become equal.
    HiddenStateCollapse,
    /// The model has learned, but its perplexity is the same at every depth.
    IgnoredState,
    /// The loss rises and does not fall again.
    Divergence,
    /// The loss left the band of its recent values.
    LossSpike,
}

impl Failure {
    /// Every failure.
    pub const ALL: [Self; 4] = [
        Self::HiddenStateCollapse,
        Self::IgnoredState,
        Self::Divergence,
        Self::LossSpike,
    ];

    /// Returns the event that records a finding of this failure.
    pub fn event(self) -> Event {
        match self {
            Self::HiddenStateCollapse => Event::HiddenStateCollapse,
            Self::IgnoredState => Event::IgnoredState,
            Self::Divergence => Event::Divergence,
            Self::LossSpike => Event::LossSpike,
        }
    }

    /// Returns advice against the failure, with the keys to set. `trainer explain` gives more
    /// details.
    pub fn cure(self) -> &'static str {
        match self {
            Self::HiddenStateCollapse | Self::IgnoredState => {
                "start again with a third of schedule.peak, or a longer schedule.warmup"
            }
            Self::Divergence => "resume a checkpoint before it, with half of schedule.peak",
            Self::LossSpike => "where there are many: add [train.skip_spikes], or lower train.clip",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event().fmt(f)
    }
}

/// A named number that supports a finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The name of the metric or of the threshold.
    pub name: String,
    /// The number.
    pub value: f64,
}

impl Evidence {
    /// Makes a named number.
    pub(crate) fn new(name: impl Into<String>, value: f64) -> Self {
        Self {
            name: name.into(),
            value,
        }
    }
}

/// A failure that was found in a run, with its steps and its evidence.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The failure that was found.
    pub failure: Failure,
    /// The step whose reading confirmed the failure.
    pub step: u64,
    /// The step of the first reading that shows the failure.
    pub since: u64,
    /// The step at which the failure ended; `None` while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The numbers at `step` that support the finding.
    pub evidence: Vec<Evidence>,
}

impl Finding {
    /// Returns the event of the finding. `tokens` is the number of tokens seen at the step of the
    /// finding.
    ///
    /// # Errors
    ///
    /// Two numbers of the evidence have the same name, which no rule produces.
    pub fn record(&self, tokens: u64) -> Result<Record, RecordError> {
        let mut record = Record::event(self.step, tokens, self.failure.event());
        record.push("since", self.since)?;
        for Evidence { name, value } in &self.evidence {
            record.push(name, *value)?;
        }
        Ok(record)
    }
}

/// The state of a run at its last record. After a loss spike has passed, the run is healthy again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No failure lasts.
    Healthy,
    /// The states of all tokens are equal.
    HiddenStateCollapse,
    /// The model ignores its state.
    IgnoredState,
    /// The loss has risen and stayed high.
    Divergence,
}

impl Verdict {
    /// Returns the name under which the verdict is written.
    pub fn name(self) -> &'static str {
        self.failure()
            .map_or("healthy", |failure| failure.event().name())
    }

    /// Returns the failure that lasts; `None` for a healthy run.
    pub fn failure(self) -> Option<Failure> {
        match self {
            Self::Healthy => None,
            Self::HiddenStateCollapse => Some(Failure::HiddenStateCollapse),
            Self::IgnoredState => Some(Failure::IgnoredState),
            Self::Divergence => Some(Failure::Divergence),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
