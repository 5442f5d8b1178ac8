//! A record that is being written.

use std::marker::PhantomData;

use super::Record;
use crate::typed::{Entry, Measured};

/// A record that is being written. It accepts only the metrics of its kind, each in its form.
///
/// ```
/// use rondo_metrics::Record;
/// use rondo_metrics::names::{LOSS, VAL_LOSS};
///
/// let mut trained = Record::train(1, 8);
/// trained.set(LOSS, 2.5);
/// assert_eq!(trained.finish().get(LOSS), Some(2.5));
///
/// let mut evaluated = Record::eval(1, 8);
/// evaluated.set(VAL_LOSS.at(4), 2.5);
/// ```
///
/// A metric of another kind is not accepted:
///
/// ```compile_fail,E0271
/// use rondo_metrics::Record;
/// use rondo_metrics::names::VAL_LOSS;
///
/// Record::train(1, 8).set(VAL_LOSS.at(4), 2.5);
/// ```
///
/// A metric per depth without its depth is not accepted:
///
/// ```compile_fail,E0277
/// use rondo_metrics::Record;
/// use rondo_metrics::names::VAL_LOSS;
///
/// Record::eval(1, 8).set(VAL_LOSS, 2.5);
/// ```
///
/// A single number is not accepted for a series:
///
/// ```compile_fail,E0277
/// use rondo_metrics::Record;
/// use rondo_metrics::names::ITERATIONS_RESIDUAL;
///
/// Record::train(1, 8).set(ITERATIONS_RESIDUAL, 2.5);
/// ```
#[derive(Clone, Debug)]
pub struct Draft<K> {
    record: Record,
    kind: PhantomData<K>,
}

impl<K: Measured> Draft<K> {
    /// Starts a record without metrics.
    pub(super) fn new(step: u64, tokens: u64) -> Self {
        Self {
            record: Record::new(step, tokens, K::KIND),
            kind: PhantomData,
        }
    }

    /// Writes a metric.
    ///
    /// # Panics
    ///
    /// Panics where the record already contains the metric.
    pub fn set<E: Entry<Kind = K>>(&mut self, entry: E, value: impl Into<E::Value>) -> &mut Self {
        let name = entry.written().into_owned();
        let metrics = &mut self.record.metrics;
        assert!(
            metrics.get(&name).is_none(),
            "{name:?} was set twice in one record"
        );
        let value: E::Value = value.into();
        metrics.push(name, value.into());
        self
    }

    /// Returns the record.
    pub fn finish(self) -> Record {
        self.record
    }
}
