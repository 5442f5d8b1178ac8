//! Reads a run back: its records, and each metric as a series over steps.

use std::collections::BTreeMap;
use std::path::Path;

use crate::jsonl::{self, JsonlError};
use crate::metric::Kind;
use crate::record::Record;
use crate::typed::{Measured, PerDepth, Scalar, SeriesPerDepth};

/// A reading of one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The number of optimizer updates made so far.
    pub step: u64,
    /// The number of training tokens seen so far.
    pub tokens: u64,
    /// The number; not finite if the run recorded a NaN or an infinity.
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
    /// Reads a metrics file. A run may write to the file at the same time.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a complete line is not a record.
    pub fn read(path: &Path) -> Result<Self, JsonlError> {
        Ok(Self::new(jsonl::read(path)?))
    }

    /// Makes a history from records.
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

    /// Returns the highest step of any record; 0 if there are no records.
    pub fn last_step(&self) -> u64 {
        let steps = self.records.iter().map(|record| record.step);
        steps.max().unwrap_or(0)
    }

    /// Returns the seconds from the start of the run to its last record; 0 if no record has a time.
    pub fn seconds(&self) -> f64 {
        let times = self.records.iter().filter_map(|record| record.time);
        times.fold(0.0, f64::max)
    }

    /// Returns the readings of a metric. Records in which the metric is absent or null are left
    /// out.
    pub fn series<K: Measured>(&self, metric: Scalar<K>) -> Vec<Reading> {
        self.of(K::KIND)
            .filter_map(|record| Some(Reading::at(record, record.get(metric)?)))
            .collect()
    }

    /// Returns the last value of a metric; absent and null values are skipped.
    pub fn last<K: Measured>(&self, metric: Scalar<K>) -> Option<f64> {
        let mut latest_first = self.of(K::KIND).rev();
        latest_first.find_map(|record| record.get(metric))
    }

    /// Returns the readings of a metric for each recurrence depth.
    pub fn per_depth<K: Measured>(&self, metric: PerDepth<K>) -> BTreeMap<usize, Vec<Reading>> {
        let mut depths: BTreeMap<usize, Vec<Reading>> = BTreeMap::new();
        for record in self.of(K::KIND) {
            for (depth, value) in record.per_depth(metric) {
                let reading = value.map(|value| Reading::at(record, value));
                depths.entry(depth).or_default().extend(reading);
            }
        }
        depths.retain(|_, readings| !readings.is_empty());
        depths
    }

    /// Returns a metric's series for each recurrence depth, from the last evaluation that has the
    /// metric.
    pub fn last_series_per_depth<K: Measured>(
        &self,
        metric: SeriesPerDepth<K>,
    ) -> Vec<(usize, &[Option<f64>])> {
        let last = self.of(K::KIND).rev().find_map(|record| {
            let found: Vec<(usize, &[Option<f64>])> = record
                .per_depth(metric)
                .filter_map(|(depth, series)| Some((depth, series?)))
                .collect();
            (!found.is_empty()).then_some(found)
        });
        last.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{LOSS, VAL_ACCURACY_BY_POSITION, VAL_CROSS_ENTROPY, VAL_LOSS};

    fn values(readings: &[Reading]) -> Vec<(u64, f64)> {
        readings
            .iter()
            .map(|reading| (reading.step, reading.value))
            .collect()
    }

    fn history() -> History {
        let mut first = Record::eval(0, 0);
        first
            .set(VAL_LOSS.at(1), 7.0)
            .set(VAL_ACCURACY_BY_POSITION.at(1), vec![Some(0.5), Some(0.25)]);
        let mut lost = Record::train(1, 8);
        lost.set(LOSS, None);
        let mut trained = Record::train(2, 16);
        trained.set(LOSS, 6.5);
        let mut second = Record::eval(2, 16);
        second.set(VAL_LOSS.at(4), 6.0).set(VAL_LOSS.at(1), 6.25);
        History::new(vec![
            first.finish(),
            lost.finish(),
            trained.finish(),
            second.finish(),
        ])
    }

    #[test]
    fn a_run_has_lasted_until_its_latest_record() {
        assert!(
            history().seconds().abs() < f64::EPSILON,
            "an older file has no times"
        );
        let timed = History::new(vec![
            Record::train(1, 8).finish().at_time(2.5),
            Record::train(2, 16).finish(),
            Record::train(3, 24).finish().at_time(7.25),
        ]);
        assert!((timed.seconds() - 7.25).abs() < f64::EPSILON);
    }

    #[test]
    fn a_series_leaves_out_what_is_not_a_number() {
        let history = history();
        assert_eq!(values(&history.series(LOSS)), [(2, 6.5)]);
        assert_eq!(history.series(VAL_CROSS_ENTROPY), []);
        assert_eq!(history.last_step(), 2);
    }

    #[test]
    fn the_last_value_is_the_last_number() {
        let mut lost = Record::train(3, 24);
        lost.set(LOSS, None);
        let mut records = history().records;
        records.push(lost.finish());
        let history = History::new(records);
        assert_eq!(history.last(LOSS), Some(6.5));
        assert_eq!(history.last(VAL_CROSS_ENTROPY), None);
    }

    #[test]
    fn every_depth_has_a_series_of_its_own() {
        let depths = history().per_depth(VAL_LOSS);
        assert_eq!(depths.keys().copied().collect::<Vec<_>>(), [1, 4]);
        assert_eq!(values(&depths[&1]), [(0, 7.0), (2, 6.25)]);
        assert_eq!(values(&depths[&4]), [(2, 6.0)]);
    }

    #[test]
    fn positions_are_those_of_the_last_evaluation_that_has_them() {
        let history = history();
        let found = history.last_series_per_depth(VAL_ACCURACY_BY_POSITION);
        assert_eq!(found, [(1, &[Some(0.5), Some(0.25)][..])]);
        let none = History::default();
        assert_eq!(none.last_series_per_depth(VAL_ACCURACY_BY_POSITION), []);
    }
}
