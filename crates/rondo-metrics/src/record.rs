//! One row of a run's metrics: a step, the tokens seen so far, and named values in the order in
//! which they were written.
//!
//! A run writes only the metrics of the [table](crate::names), because a [`Draft`] accepts no
//! others. A file may contain more metrics, because a later version may have written it.

mod draft;
mod metrics;

use serde::{Deserialize, Serialize};

pub use draft::Draft;
pub use metrics::Metrics;

use crate::events::Event;
use crate::metric::Kind;
use crate::typed::{Deep, Entry, Eval, Form, Held, Measured, Train, Typed};
use crate::value::Value;

/// The key under which the record of an event holds the event's name.
const EVENT: &str = "event";

/// One row of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The number of optimizer updates so far, including the update of this record; 0 before the
    /// first update.
    pub step: u64,
    /// The number of training tokens seen so far.
    pub tokens: u64,
    /// The seconds since the start of the run, over all of its launches. `None` in files of older
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<f64>,
    /// The kind of thing that the record reports.
    pub kind: Kind,
    /// The named values.
    pub metrics: Metrics,
}

/// Why a detail was not added to a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The record reports no event.
    #[error("detail {name:?} was pushed to a record of kind {kind}; only events have details")]
    NoEvent {
        /// The pushed name.
        name: String,
        /// The kind of the record.
        kind: Kind,
    },
    /// The record already contains the name.
    #[error("{name:?} was pushed twice into one record")]
    Duplicate {
        /// The pushed name.
        name: String,
    },
}

impl Record {
    /// Starts the record of a training step.
    pub fn train(step: u64, tokens: u64) -> Draft<Train> {
        Draft::new(step, tokens)
    }

    /// Starts the record of an evaluation.
    pub fn eval(step: u64, tokens: u64) -> Draft<Eval> {
        Draft::new(step, tokens)
    }

    /// Starts the record of an event. Details may be pushed to it under any name.
    pub fn event(step: u64, tokens: u64, event: Event) -> Self {
        let mut record = Self::new(step, tokens, Kind::Event);
        record.metrics.push(EVENT.to_owned(), event.name().into());
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

    /// Returns the record with the seconds since the start of its run, rounded to whole
    /// milliseconds.
    #[must_use]
    pub fn at_time(&self, seconds: f64) -> Self {
        Self {
            time: Some((seconds * 1e3).round() / 1e3),
            ..self.clone()
        }
    }

    /// Adds a detail to an event.
    ///
    /// # Errors
    ///
    /// The record reports no event, or already contains the name.
    pub fn push(&mut self, name: &str, value: impl Into<Value>) -> Result<&mut Self, RecordError> {
        let name = name.to_owned();
        if self.kind != Kind::Event {
            let kind = self.kind;
            return Err(RecordError::NoEvent { name, kind });
        }
        if self.metrics.get(&name).is_some() {
            return Err(RecordError::Duplicate { name });
        }
        self.metrics.push(name, value.into());
        Ok(self)
    }

    /// Returns the value of an entry. Returns `None` if the value is absent, null or of another
    /// form, or if the record is of another kind.
    pub fn get<E: Entry>(&self, entry: E) -> Option<<E::Value as Held>::Read<'_>> {
        let value = self.of::<E::Kind>()?.get(&entry.written())?;
        E::Value::read(value)
    }

    /// Iterates over the recurrence depths of a metric, with the metric's value at each depth.
    pub fn per_depth<K: Measured, F: Deep>(
        &self,
        metric: Typed<K, F>,
    ) -> impl Iterator<Item = (usize, Option<<F::Value as Held>::Read<'_>>)> {
        let of_kind = self.of::<K>().into_iter();
        let found = of_kind.flat_map(move |metrics| metrics.per_depth(metric.name()));
        found.map(|(depth, value)| (depth, <F as Form>::Value::read(value)))
    }

    /// Returns the metrics if the record is of the kind `K`.
    fn of<K: Measured>(&self) -> Option<&Metrics> {
        (self.kind == K::KIND).then_some(&self.metrics)
    }

    /// Returns a detail of an event.
    pub fn detail(&self, name: &str) -> Option<&Value> {
        (self.kind == Kind::Event)
            .then(|| self.metrics.get(name))
            .flatten()
    }

    /// Returns the event that the record reports; `None` if it reports no known event.
    pub fn which_event(&self) -> Option<Event> {
        Event::from_name(self.event_name()?)
    }

    /// Returns the name of the event that the record reports, known or not.
    pub fn event_name(&self) -> Option<&str> {
        self.detail(EVENT)?.as_text()
    }

    /// Iterates over the details of an event: all values except the event's name.
    pub fn details(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.metrics.iter().filter(|(name, _)| *name != EVENT)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a refused push must fail the test")]

    use super::*;
    use crate::names::{
        ITERATION_CORR, ITERATIONS_RESIDUAL, LOSS, SPARSITY, VAL_LOSS, VAL_PERPLEXITY,
        VAL_SPARSITY, VAL_SPARSITY_LAYER,
    };

    #[test]
    fn a_record_is_one_object_in_the_order_of_writing() {
        let mut draft = Record::train(128, 1_048_576);
        draft
            .set(LOSS, 3.25)
            .set(ITERATION_CORR, None)
            .set(ITERATIONS_RESIDUAL, vec![Some(1.0), Some(0.5)]);
        let record = draft.finish();
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
        let mut draft = Record::train(1, 8);
        draft.set(LOSS, 2.0);
        let record = draft.finish().at_time(12.345_678);
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
    fn details_are_pushed_to_events_only_and_once() {
        let mut event = Record::event(1, 8, Event::Resume);
        let twice = RecordError::Duplicate {
            name: "event".to_owned(),
        };
        assert_eq!(event.push("event", "other").unwrap_err(), twice);
        let mut trained = Record::train(1, 8).finish();
        let refused = RecordError::NoEvent {
            name: "loss".to_owned(),
            kind: Kind::Train,
        };
        assert_eq!(trained.push("loss", 1.0).unwrap_err(), refused);
        assert_eq!(trained, Record::train(1, 8).finish());
    }

    #[test]
    #[should_panic(expected = "\"loss\" was set twice in one record")]
    fn a_metric_is_set_once() {
        Record::train(1, 8).set(LOSS, 1.0).set(LOSS, 2.0);
    }

    #[test]
    fn a_metric_is_read_from_records_of_its_kind_and_in_its_form() {
        let mut trained = Record::train(1, 8);
        trained
            .set(LOSS, 2.5)
            .set(ITERATIONS_RESIDUAL, vec![None, Some(0.5)])
            .set(SPARSITY, 0.25);
        let trained = trained.finish();
        assert_eq!(trained.get(LOSS), Some(2.5));
        assert_eq!(
            trained.get(ITERATIONS_RESIDUAL),
            Some(&[None, Some(0.5)][..])
        );
        assert_eq!(
            (trained.get(SPARSITY), trained.get(VAL_SPARSITY)),
            (Some(0.25), None)
        );
        let mut evaluated = Record::eval(1, 8);
        evaluated
            .set(VAL_LOSS.at(4), None)
            .set(VAL_SPARSITY, 0.5)
            .set(VAL_SPARSITY_LAYER.of("core.0"), 0.75);
        let evaluated = evaluated.finish();
        assert_eq!(evaluated.get(VAL_LOSS.at(4)), None);
        assert_eq!(evaluated.get(VAL_SPARSITY_LAYER.of("core.0")), Some(0.75));
        assert_eq!(
            (evaluated.get(SPARSITY), evaluated.get(VAL_SPARSITY)),
            (None, Some(0.5))
        );
        let foreign = r#"{"step":1,"tokens":2,"kind":"train","metrics":{"loss":[1.0]}}"#;
        let foreign: Record = serde_json::from_str(foreign).unwrap();
        assert_eq!(foreign.get(LOSS), None);
    }

    #[test]
    fn a_record_of_a_later_version_is_read() {
        let line = r#"{"step":1,"tokens":2,"kind":"event","metrics":{"event":"new","x":1}}"#;
        let record: Record = serde_json::from_str(line).unwrap();
        assert_eq!(
            (record.event_name(), record.which_event()),
            (Some("new"), None)
        );
        assert_eq!(record.detail("x"), Some(&Value::Number(1.0)));
    }

    #[test]
    fn a_key_written_twice_is_refused() {
        let line = r#"{"step":1,"tokens":2,"kind":"train","metrics":{"loss":1,"loss":2}}"#;
        assert!(serde_json::from_str::<Record>(line).is_err());
    }

    #[test]
    fn depths_are_found_in_the_order_of_writing() {
        let mut draft = Record::eval(0, 0);
        for depth in [1, 4, 32] {
            draft
                .set(VAL_LOSS.at(depth), depth as f64)
                .set(VAL_PERPLEXITY.at(depth), 9.0);
        }
        let record = draft.finish();
        let depths: Vec<_> = record.per_depth(VAL_LOSS).collect();
        assert_eq!(depths, [(1, Some(1.0)), (4, Some(4.0)), (32, Some(32.0))]);
    }
}
