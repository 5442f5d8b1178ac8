//! A run read back: its records, and each metric as a series over steps.

use std::collections::BTreeMap;
use std::path::Path;

use crate::jsonl::{self, JsonlError};
use crate::names::Kind;
use crate::record::Record;

/// A reading of one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Optimizer updates made by then.
    pub step: u64,
    /// Training tokens seen by then.
    pub tokens: u64,
    /// The number; not finite where the run's was not.
    pub value: f64,
}

impl Reading {
    fn at(record: &Record, value: f64) -> Self {
        Self {
            step: record.step,
            tokens: record.tokens,
            value,
        }
    }
}

/// The records of a run in the order in which they were written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    records: Vec<Record>,
}

impl History {
    /// Reads a metrics file, also while a run writes it.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a complete line is not a record.
    pub fn read(path: &Path) -> Result<Self, JsonlError> {
        Ok(Self::new(jsonl::read(path)?))
    }

    /// Takes records.
    pub fn new(records: Vec<Record>) -> Self {
        Self { records }
    }

    /// Returns every record.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Iterates over the records of a kind.
    pub fn of(&self, kind: Kind) -> impl DoubleEndedIterator<Item = &Record> {
        self.records
            .iter()
            .filter(move |record| record.kind == kind)
    }

    /// Returns the last step of any record.
    pub fn last_step(&self) -> u64 {
        let steps = self.records.iter().map(|record| record.step);
        steps.max().unwrap_or(0)
    }

    /// Returns the seconds from the start of the run to its last record; 0 where no record has a time.
    pub fn seconds(&self) -> f64 {
        let times = self.records.iter().filter_map(|record| record.time);
        times.fold(0.0, f64::max)
    }

    /// Returns the readings of a metric; rows where it is absent or null are left out.
    pub fn series(&self, kind: Kind, name: &str) -> Vec<Reading> {
        self.of(kind)
            .filter_map(|record| Some(Reading::at(record, record.number(name)?)))
            .collect()
    }

    /// Returns the readings of a metric per recurrence depth.
    pub fn per_depth(&self, name: &str) -> BTreeMap<usize, Vec<Reading>> {
        let mut depths: BTreeMap<usize, Vec<Reading>> = BTreeMap::new();
        for record in self.of(Kind::Eval) {
            for (depth, value) in record.metrics.per_depth(name) {
                let reading = value.as_number().map(|value| Reading::at(record, value));
                depths.entry(depth).or_default().extend(reading);
            }
        }
        depths.retain(|_, readings| !readings.is_empty());
        depths
    }

    /// Returns a series per recurrence depth as of the last evaluation that has it.
    pub fn last_series_per_depth(&self, name: &str) -> Vec<(usize, &[Option<f64>])> {
        let last = self.of(Kind::Eval).rev().find_map(|record| {
            let found: Vec<(usize, &[Option<f64>])> = record
                .metrics
                .per_depth(name)
                .filter_map(|(depth, value)| Some((depth, value.as_series()?)))
                .collect();
            (!found.is_empty()).then_some(found)
        });
        last.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a refused push must fail the test")]

    use super::*;

    fn values(readings: &[Reading]) -> Vec<(u64, f64)> {
        readings
            .iter()
            .map(|reading| (reading.step, reading.value))
            .collect()
    }

    fn history() -> History {
        let mut first = Record::eval(0, 0);
        first.push("val_loss@1", 7.0).unwrap();
        first
            .push("val_accuracy_by_position@1", vec![0.5, 0.25])
            .unwrap();
        let mut lost = Record::train(1, 8);
        lost.push("loss", None).unwrap();
        let mut trained = Record::train(2, 16);
        trained.push("loss", 6.5).unwrap();
        let mut second = Record::eval(2, 16);
        second.push("val_loss@4", 6.0).unwrap();
        second.push("val_loss@1", 6.25).unwrap();
        History::new(vec![first, lost, trained, second])
    }

    #[test]
    fn a_run_has_lasted_until_its_latest_record() {
        assert!(
            history().seconds().abs() < f64::EPSILON,
            "an older file has no times"
        );
        let timed = History::new(vec![
            Record::train(1, 8).at_time(2.5),
            Record::train(2, 16),
            Record::train(3, 24).at_time(7.25),
        ]);
        assert!((timed.seconds() - 7.25).abs() < f64::EPSILON);
    }

    #[test]
    fn a_series_leaves_out_what_is_not_a_number() {
        let history = history();
        assert_eq!(values(&history.series(Kind::Train, "loss")), [(2, 6.5)]);
        assert_eq!(history.series(Kind::Eval, "loss"), []);
        assert_eq!(history.last_step(), 2);
    }

    #[test]
    fn every_depth_has_a_series_of_its_own() {
        let depths = history().per_depth("val_loss");
        assert_eq!(depths.keys().copied().collect::<Vec<_>>(), [1, 4]);
        assert_eq!(values(&depths[&1]), [(0, 7.0), (2, 6.25)]);
        assert_eq!(values(&depths[&4]), [(2, 6.0)]);
    }

    #[test]
    fn positions_are_those_of_the_last_evaluation_that_has_them() {
        let history = history();
        let found = history.last_series_per_depth("val_accuracy_by_position");
        assert_eq!(found, [(1, &[Some(0.5), Some(0.25)][..])]);
        assert_eq!(history.last_series_per_depth("val_loss"), []);
    }
}
