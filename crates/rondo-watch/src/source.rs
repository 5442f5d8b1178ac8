//! Reads a run directory: its plan, and its appended records.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rondo_metrics::{JsonlError, Record};

use crate::plan::Plan;
use crate::tail::{Look, Tail};

/// Whether a run can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// The run has no records yet.
    #[default]
    Waiting,
    /// The records can be read.
    Reading,
    /// The run's folder existed, but no longer does.
    Gone,
    /// The records cannot be read, for this reason. Reading is tried again later.
    Faulty(String),
}

/// The changes in a run directory.
#[derive(Debug, Default)]
pub struct Update {
    /// Whether all earlier records of the run are invalid.
    pub restarted: bool,
    /// The plan, if it is new.
    pub plan: Option<Plan>,
    /// The appended records.
    pub records: Vec<Record>,
    /// Whether the run can be read.
    pub condition: Condition,
    /// When the run's records were last changed.
    pub modified: Option<SystemTime>,
    /// Whether more records are ready to be read.
    pub more: bool,
}

/// A run directory.
#[derive(Debug)]
pub(crate) struct Source {
    dir: PathBuf,
    tail: Tail,
    plan: Option<Plan>,
    /// The size and the modification time of the configuration file when it was last read.
    config: Option<(u64, Option<SystemTime>)>,
    condition: Condition,
    /// The error that occurred when a changed metrics file was last read.
    fault: Option<JsonlError>,
    was_there: bool,
}

impl Source {
    /// Makes the source of a run directory. The directory need not exist yet.
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            tail: Tail::new(dir.join("metrics.jsonl")),
            plan: None,
            config: None,
            condition: Condition::default(),
            fault: None,
            was_there: false,
        }
    }

    /// Returns the changes since the last call, if there are any.
    pub(crate) fn look(&mut self) -> Option<Update> {
        let is_first = self.plan.is_none();
        let plan = self.new_plan();
        let void = plan.is_some() && !is_first;
        if void {
            // All records are read again, because other thresholds may lead to another diagnosis.
            self.tail.rewind();
        }
        let (look, condition) = self.records();
        let changed = plan.is_some() || look.is_some() || condition != self.condition;
        self.condition = condition.clone();
        let look = look.unwrap_or_default();
        changed.then_some(Update {
            restarted: look.restarted || void,
            plan,
            records: look.records,
            condition,
            modified: look.modified,
            more: look.more,
        })
    }

    /// Returns the error of the metrics file, and clears it.
    pub(crate) fn take_fault(&mut self) -> Option<JsonlError> {
        self.fault.take()
    }

    /// Reads the records, and returns whether the run can be read.
    fn records(&mut self) -> (Option<Look>, Condition) {
        match self.tail.look() {
            Ok(None) => (None, self.condition.clone()),
            Ok(Some(mut look)) => {
                self.was_there = true;
                self.fault = look.fault.take();
                let condition = self.fault.as_ref().map_or(Condition::Reading, faulty);
                (Some(look), condition)
            }
            Err(JsonlError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                (None, self.absence())
            }
            Err(error) => {
                let condition = faulty(&error);
                self.fault = Some(error);
                (None, condition)
            }
        }
    }

    /// Returns the condition of a run without a metrics file.
    fn absence(&mut self) -> Condition {
        match self.dir.try_exists() {
            Ok(true) => {
                self.was_there = true;
                Condition::Waiting
            }
            Ok(false) if self.was_there => Condition::Gone,
            Ok(false) => Condition::Waiting,
            Err(error) => Condition::Faulty(format!("{}: {error}", self.dir.display())),
        }
    }

    /// Reads the configuration if it has changed.
    fn new_plan(&mut self) -> Option<Plan> {
        let path = self.dir.join("config.toml");
        let stamp = fs::metadata(&path).map(|about| (about.len(), about.modified().ok()));
        let plan = match stamp {
            Ok(stamp) if self.config == Some(stamp) => return None,
            Ok(stamp) => match fs::read_to_string(&path) {
                Ok(text) => {
                    self.config = Some(stamp);
                    Plan::parse(&text)
                }
                Err(error) => Plan::unknown(&format!("config.toml cannot be read ({error})")),
            },
            // If a configuration cannot be read for a moment, the last configuration that was read
            // stays valid.
            Err(_) if self.plan.is_some() => return None,
            Err(error) if error.kind() == ErrorKind::NotFound => Plan::unknown("no config.toml"),
            Err(error) => Plan::unknown(&format!("config.toml cannot be read ({error})")),
        };
        if self.plan.as_ref() == Some(&plan) {
            return None;
        }
        self.plan = Some(plan.clone());
        Some(plan)
    }
}

/// Returns the condition of a run whose records cannot be read, with the system's reason.
fn faulty(error: &JsonlError) -> Condition {
    let reason = std::error::Error::source(error);
    let reason = reason.map(|reason| format!(": {reason}"));
    Condition::Faulty(format!("{error}{}", reason.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed write must fail the test")]

    use super::*;

    const LINE: &str = "{\"step\":1,\"tokens\":8,\"kind\":\"train\",\"metrics\":{\"loss\":2.5}}\n";

    #[test]
    fn a_run_is_waited_for_read_and_gone() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("run");
        let mut source = Source::new(&dir);
        let first = source.look().unwrap();
        assert_eq!(first.condition, Condition::Waiting);
        assert!(
            first
                .plan
                .unwrap()
                .note
                .unwrap()
                .starts_with("no config.toml")
        );
        assert!(source.look().is_none());
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("config.toml"), "[train]\nsteps = 9\n").unwrap();
        assert_eq!(source.look().unwrap().plan.unwrap().steps, Some(9));
        fs::write(dir.join("metrics.jsonl"), LINE).unwrap();
        let read = source.look().unwrap();
        assert_eq!(
            (read.records.len(), read.condition),
            (1, Condition::Reading)
        );
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(source.look().unwrap().condition, Condition::Gone);
        assert!(source.look().is_none(), "it is told once");
    }

    #[test]
    fn a_run_that_is_begun_anew_in_its_folder_is_read_anew() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path();
        fs::write(dir.join("metrics.jsonl"), LINE.repeat(3)).unwrap();
        let mut source = Source::new(dir);
        assert_eq!(source.look().unwrap().records.len(), 3);
        fs::remove_file(dir.join("metrics.jsonl")).unwrap();
        assert_eq!(source.look().unwrap().condition, Condition::Waiting);
        fs::write(dir.join("metrics.jsonl"), LINE).unwrap();
        let anew = source.look().unwrap();
        assert_eq!((anew.restarted, anew.records.len()), (true, 1));
    }

    #[test]
    fn records_are_read_anew_under_other_thresholds() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path();
        fs::write(dir.join("metrics.jsonl"), LINE).unwrap();
        fs::write(dir.join("config.toml"), "[train]\nsteps = 9\n").unwrap();
        let mut source = Source::new(dir);
        source.look().unwrap();
        fs::write(dir.join("config.toml"), "[train]\nsteps = 900\n").unwrap();
        let update = source.look().unwrap();
        assert_eq!((update.restarted, update.records.len()), (true, 1));
        assert_eq!(update.plan.unwrap().steps, Some(900));
    }

    #[test]
    fn a_fault_is_told_with_its_reason_and_the_records_before_it() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("metrics.jsonl"), LINE.to_owned() + "[]\n").unwrap();
        let update = Source::new(root.path()).look().unwrap();
        let Condition::Faulty(reason) = update.condition else {
            panic!("{:?}", update.condition);
        };
        assert!(
            reason.contains("line 2 is not a metrics record"),
            "{reason}"
        );
        assert_eq!(update.records.len(), 1);
    }
}
