//! One row of a run's metrics: a step, its tokens, and named values in the order they were pushed.
//!
//! Pushing is strict, so that exactly the metrics of the [table](crate::names) are written. Reading is
//! not: a file of a later version may hold names that this one does not know.

mod metrics;

use serde::{Deserialize, Serialize};

pub use metrics::Metrics;

use crate::events::Event;
use crate::names::{self, Kind, Shape};
use crate::value::Value;

/// The key under which an event's record holds the event's name.
const EVENT: &str = "event";

/// One row of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Optimizer updates made so far, this one included; 0 before the first.
    pub step: u64,
    /// Training tokens seen so far.
    pub tokens: u64,
    /// Seconds since the start of the run, over all of its launches; none in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
    /// What the record reports.
    pub kind: Kind,
    /// The named values.
    pub metrics: Metrics,
}

/// Why a value may not be pushed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The table of metrics has no such name.
    #[error("metric {name:?} is not in the table of metrics; add it to names.rs")]
    Unknown {
        /// The pushed name.
        name: String,
    },
    /// The metric belongs to records of another kind.
    #[error("metric {name:?} belongs to {expected} records, pushed to an {actual} record")]
    WrongKind {
        /// The pushed name.
        name: String,
        /// The kind in the table.
        expected: Kind,
        /// The record's kind.
        actual: Kind,
    },
    /// A series where one number is due, a number where a series is due, or a text.
    #[error("metric {name:?} is a {expected}, pushed something else")]
    WrongShape {
        /// The pushed name.
        name: String,
        /// The shape in the table.
        expected: Shape,
    },
    /// The record holds the name already.
    #[error("metric {name:?} was pushed twice into one record")]
    Duplicate {
        /// The pushed name.
        name: String,
    },
}

impl Record {
    /// Starts the record of a training step.
    pub fn train(step: u64, tokens: u64) -> Self {
        Self::new(step, tokens, Kind::Train)
    }

    /// Starts the record of an evaluation.
    pub fn eval(step: u64, tokens: u64) -> Self {
        Self::new(step, tokens, Kind::Eval)
    }

    /// Starts the record of an event; details may be pushed under any name.
    pub fn event(step: u64, tokens: u64, event: Event) -> Self {
        let mut record = Self::new(step, tokens, Kind::Event);
        record.metrics.push(EVENT, event.name().into());
        record
    }

    fn new(step: u64, tokens: u64, kind: Kind) -> Self {
        Self {
            step,
            tokens,
            time: None,
            kind,
            metrics: Metrics::default(),
        }
    }

    /// Returns the record with the seconds since the start of its run, in whole milliseconds.
    #[must_use]
    pub fn at_time(&self, seconds: f64) -> Self {
        Self {
            time: Some((seconds * 1e3).round() / 1e3),
            ..self.clone()
        }
    }

    /// Adds a value under a name of the table, or a detail to an event.
    ///
    /// # Errors
    ///
    /// The name is not in the table, belongs to another kind, has another shape, or is there already.
    pub fn push(&mut self, name: &str, value: impl Into<Value>) -> Result<&mut Self, RecordError> {
        let value = value.into();
        if self.kind != Kind::Event {
            self.check(name, &value)?;
        }
        if self.metrics.get(name).is_some() {
            return Err(RecordError::Duplicate {
                name: name.to_owned(),
            });
        }
        self.metrics.push(name, value);
        Ok(self)
    }

    fn check(&self, name: &str, value: &Value) -> Result<(), RecordError> {
        let of_kind = names::describe(self.kind, name);
        let anywhere = || {
            [Kind::Train, Kind::Eval]
                .into_iter()
                .find_map(|kind| names::describe(kind, name))
        };
        let metric = of_kind
            .or_else(anywhere)
            .ok_or_else(|| RecordError::Unknown {
                name: name.to_owned(),
            })?;
        if metric.kind != self.kind {
            return Err(RecordError::WrongKind {
                name: name.to_owned(),
                expected: metric.kind,
                actual: self.kind,
            });
        }
        let fits = match value {
            Value::Null => true,
            Value::Number(_) => !metric.shape.is_series(),
            Value::Series(_) => metric.shape.is_series(),
            Value::Text(_) => false,
        };
        match fits {
            true => Ok(()),
            false => Err(RecordError::WrongShape {
                name: name.to_owned(),
                expected: metric.shape,
            }),
        }
    }

    /// Returns the number under a name; `None` if it is absent, null, or not one number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.metrics.get(name)?.as_number()
    }

    /// Returns the event that the record reports; `None` if it reports none that is known.
    pub fn which_event(&self) -> Option<Event> {
        Event::from_name(self.event_name()?)
    }

    /// Returns the name of the event that the record reports, known or not.
    pub fn event_name(&self) -> Option<&str> {
        (self.kind == Kind::Event)
            .then(|| self.metrics.get(EVENT)?.as_text())
            .flatten()
    }

    /// Iterates over an event's details: everything but its name.
    pub fn details(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.metrics.iter().filter(|(name, _)| *name != EVENT)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a refused push must fail the test")]

    use super::*;

    #[test]
    fn a_record_is_one_object_in_the_order_of_pushing() {
        let mut record = Record::train(128, 1_048_576);
        record.push("loss", 3.25).unwrap();
        record.push("iteration_corr", None).unwrap();
        record.push("iterations.residual", vec![1.0, 0.5]).unwrap();
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(
            line,
            r#"{"step":128,"tokens":1048576,"kind":"train","metrics":{"loss":3.25,"iteration_corr":null,"iterations.residual":[1.0,0.5]}}"#
        );
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
    }

    #[test]
    fn an_event_opens_with_its_name() {
        let mut record = Record::event(400, 3200, Event::Checkpoint);
        record.push("path", "checkpoints/step-00000400").unwrap();
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(
            line,
            r#"{"step":400,"tokens":3200,"kind":"event","metrics":{"event":"checkpoint","path":"checkpoints/step-00000400"}}"#
        );
        let back: Record = serde_json::from_str(&line).unwrap();
        assert_eq!(back.which_event(), Some(Event::Checkpoint));
        assert_eq!(
            back.details().map(|(name, _)| name).collect::<Vec<_>>(),
            ["path"]
        );
    }

    #[test]
    fn the_time_is_written_in_milliseconds_and_a_record_without_one_is_read() {
        let mut record = Record::train(1, 8).at_time(12.345_678);
        record.push("loss", 2.0).unwrap();
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(
            line,
            r#"{"step":1,"tokens":8,"time":12.346,"kind":"train","metrics":{"loss":2.0}}"#
        );
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        let older = r#"{"step":1,"tokens":8,"kind":"train","metrics":{"loss":2.0}}"#;
        assert_eq!(serde_json::from_str::<Record>(older).unwrap().time, None);
    }

    #[test]
    fn only_what_the_table_lists_is_pushed() {
        let mut record = Record::train(1, 8);
        let name = |name: &str| name.to_owned();
        assert_eq!(
            record.push("los", 1.0).unwrap_err(),
            RecordError::Unknown { name: name("los") }
        );
        assert_eq!(
            record.push("val_loss@4", 1.0).unwrap_err(),
            RecordError::WrongKind {
                name: name("val_loss@4"),
                expected: Kind::Eval,
                actual: Kind::Train
            }
        );
        assert_eq!(
            record.push("loss", vec![1.0]).unwrap_err(),
            RecordError::WrongShape {
                name: name("loss"),
                expected: Shape::Scalar
            }
        );
        assert!(record.push("loss", "low").is_err());
        assert!(record.push("iterations.residual", 1.0).is_err());
        record.push("loss", 1.0).unwrap();
        assert_eq!(
            record.push("loss", 1.0).unwrap_err(),
            RecordError::Duplicate { name: name("loss") }
        );
        assert!(
            Record::event(1, 8, Event::Resume)
                .push("event", "other")
                .is_err()
        );
    }

    #[test]
    fn a_record_of_a_later_version_is_read() {
        let line = r#"{"step":1,"tokens":2,"kind":"event","metrics":{"event":"new","x":1}}"#;
        let record: Record = serde_json::from_str(line).unwrap();
        assert_eq!(
            (record.event_name(), record.which_event()),
            (Some("new"), None)
        );
        assert_eq!(record.number("x"), Some(1.0));
    }

    #[test]
    fn a_key_written_twice_is_refused() {
        let line = r#"{"step":1,"tokens":2,"kind":"train","metrics":{"loss":1,"loss":2}}"#;
        assert!(serde_json::from_str::<Record>(line).is_err());
    }

    #[test]
    fn depths_are_found_in_the_order_of_pushing() {
        let mut record = Record::eval(0, 0);
        for depth in [1, 4, 32] {
            record
                .push(&names::name_at("val_loss", depth), depth as f64)
                .unwrap();
            record
                .push(&names::name_at("val_perplexity", depth), 9.0)
                .unwrap();
        }
        let depths: Vec<usize> = record
            .metrics
            .per_depth("val_loss")
            .map(|(r, _)| r)
            .collect();
        assert_eq!(depths, [1, 4, 32]);
    }
}
