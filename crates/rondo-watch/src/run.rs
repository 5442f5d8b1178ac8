//! The state of a run, updated from its records.

mod seen;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rondo_diagnosis::{Finding, Verdict};
use rondo_metrics::JsonlError;

pub use self::seen::Happening;
use self::seen::Seen;
use crate::plan::Plan;
use crate::series::Series;
use crate::source::{Condition, Source, Update};

/// The stage of a run, according to its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The run has steps left.
    Training,
    /// The run has reached its last step.
    Finished,
    /// The run ended before its last step, and its records say so.
    Stopped,
}

/// A run and its records.
#[derive(Clone, Debug)]
pub struct Run {
    name: String,
    dir: PathBuf,
    plan: Plan,
    condition: Condition,
    modified: Option<SystemTime>,
    seen: Seen,
}

impl Run {
    /// Makes a run without records.
    pub fn new(name: impl Into<String>, dir: &Path) -> Self {
        let plan = Plan::default();
        Self {
            name: name.into(),
            dir: dir.to_owned(),
            seen: Seen::new(&plan),
            plan,
            condition: Condition::default(),
            modified: None,
        }
    }

    /// Makes one run for each directory. A run is named after its folder, or by its path if several
    /// folders have the same name.
    pub fn all(dirs: &[PathBuf]) -> Vec<Self> {
        let name = |dir: &PathBuf| {
            let whole = dir.canonicalize().unwrap_or_else(|_| dir.clone());
            let name = whole.file_name().unwrap_or(dir.as_os_str());
            name.to_string_lossy().into_owned()
        };
        let names: Vec<String> = dirs.iter().map(name).collect();
        let apart =
            |(dir, name): (&PathBuf, &String)| match names.iter().filter(|n| *n == name).count() {
                1 => Self::new(name.clone(), dir),
                _ => Self::new(dir.display().to_string(), dir),
            };
        dirs.iter().zip(&names).map(apart).collect()
    }

    /// Reads all files of the run.
    ///
    /// # Errors
    ///
    /// Returns an error if the records cannot be read, or if a complete line is not a record.
    pub fn read(&mut self) -> Result<(), JsonlError> {
        let mut source = Source::new(&self.dir);
        while let Some(update) = source.look() {
            if let Some(fault) = source.take_fault() {
                return Err(fault);
            }
            self.apply(update);
        }
        Ok(())
    }

    /// Applies an update from the run's directory.
    pub fn apply(&mut self, update: Update) {
        if let Some(plan) = update.plan {
            self.plan = plan;
            // The first plan may come before the first record.
            if self.seen.records == 0 {
                self.seen = Seen::new(&self.plan);
            }
        }
        if update.restarted {
            self.seen = Seen::new(&self.plan);
        }
        for record in &update.records {
            self.seen.observe(record);
        }
        self.condition = update.condition;
        self.modified = update.modified.or(self.modified);
    }

    /// Returns the name of the run.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the directory of the run.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the plan of the run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns whether the run can be read.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Whether the run has records.
    pub fn has_records(&self) -> bool {
        self.seen.records > 0
    }

    /// Returns the last step of the run.
    pub fn step(&self) -> u64 {
        self.seen.step
    }

    /// Returns the seconds from the start of the run to its last record.
    pub fn seconds(&self) -> Option<f64> {
        self.seen.seconds
    }

    /// Returns the stage of the run.
    pub fn stage(&self) -> Stage {
        if self.plan.steps.is_some_and(|steps| self.seen.step >= steps) {
            Stage::Finished
        } else if self.seen.was_stopped {
            Stage::Stopped
        } else {
            Stage::Training
        }
    }

    /// Returns how many seconds the remaining steps take at the recent speed.
    pub fn seconds_left(&self) -> Option<f64> {
        self.seen.time_left.until(self.plan.steps?)
    }

    /// Returns the seconds since the last record if the run is unusually silent: for more than a
    /// minute, and for more than twenty times the mean time between two records.
    pub fn silence(&self, now: SystemTime) -> Option<f64> {
        let silent = now.duration_since(self.modified?).ok()?.as_secs_f64();
        let usual = self.seen.seconds.unwrap_or(0.0) / self.seen.records.max(1) as f64;
        (self.stage() == Stage::Training && silent > (20.0 * usual).max(60.0)).then_some(silent)
    }

    /// Returns the verdict at the last record of the run.
    pub fn verdict(&self) -> Verdict {
        self.seen.diagnosis.verdict()
    }

    /// Returns the finding behind the verdict; `None` if the run is healthy.
    pub fn finding(&self) -> Option<&Finding> {
        let failure = self.verdict().failure()?;
        let mut lasting = self.seen.diagnosis.lasting();
        lasting.find(|finding| finding.failure == failure)
    }

    /// Returns the training loss in nats per token.
    pub fn loss(&self) -> &Series {
        &self.seen.loss
    }

    /// Returns the mean correlation between the hidden states of two tokens.
    pub fn correlation(&self) -> &Series {
        &self.seen.correlation
    }

    /// Returns the learning rate.
    pub fn rate(&self) -> &Series {
        &self.seen.rate
    }

    /// Returns training tokens per second.
    pub fn speed(&self) -> &Series {
        &self.seen.speed
    }

    /// Returns the number of drawn iterations per step, `n + k`.
    pub fn recurrence(&self) -> &Series {
        &self.seen.recurrence
    }

    /// Returns the validation perplexity by recurrence depth.
    pub fn perplexity(&self) -> &BTreeMap<usize, Series> {
        &self.seen.perplexity
    }

    /// Returns the number of iterations in the last step: those without gradient, and those with
    /// gradient.
    pub fn drawn(&self) -> Option<(f64, f64)> {
        self.seen.drawn
    }

    /// Iterates over the events of the run, newest first.
    pub fn happenings(&self) -> impl Iterator<Item = &Happening> {
        self.seen.happenings.iter().rev()
    }
}

#[cfg(test)]
pub(crate) mod tests;
