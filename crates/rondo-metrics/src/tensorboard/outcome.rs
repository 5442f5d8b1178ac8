//! The last readings of a run, for the table of hyperparameters.
//!
//! `TensorBoard` lists every scalar as a result of a run, sorted by tag, and shows the first five.
//! Up to five readings are therefore written again at the end of a launch, under a prefix that
//! sorts before all other groups.

use std::collections::BTreeMap;

use super::layout::described;
use super::message::Message;
use super::tags::OUTCOMES;
use crate::metric::Kind;
use crate::names::{
    LOSS, VAL_ACCURACY, VAL_BITS_PER_BYTE, VAL_CROSS_ENTROPY, VAL_PERPLEXITY, describe,
};
use crate::record::Record;
use crate::typed::{Eval, PerDepth};

/// The newest reading of the loss, and the readings of the last evaluation by name.
#[derive(Default)]
pub(super) struct Outcome {
    loss: Option<f64>,
    evaluated: BTreeMap<String, f64>,
}

impl Outcome {
    /// Keeps the readings of a record.
    pub(super) fn observe(&mut self, record: &Record) {
        match record.kind {
            Kind::Train => self.loss = record.get(LOSS).or(self.loss),
            Kind::Eval => self.evaluated = evaluated(record),
            Kind::Event => {}
        }
    }

    /// Returns a `Summary` of the readings; `None` if there are no readings.
    pub(super) fn summary(&self) -> Option<Message> {
        let loss = self.loss.map(|loss| (Kind::Train, LOSS.name(), loss));
        let evaluated = self.evaluated.iter();
        let evaluated = evaluated.map(|(name, value)| (Kind::Eval, name.as_str(), *value));
        let mut summary = Message::default();
        for (kind, name, value) in loss.into_iter().chain(evaluated) {
            let mut scalar = Message::default();
            scalar.bytes(1, format!("{OUTCOMES}{name}").as_bytes());
            scalar.float(2, value as f32);
            scalar.bytes(9, &described(describe(kind, name)).0);
            summary.bytes(1, &scalar.0);
        }
        (!summary.0.is_empty()).then_some(summary)
    }
}

fn evaluated(record: &Record) -> BTreeMap<String, f64> {
    let deepest = |metric: PerDepth<Eval>| {
        let depths = record.per_depth(metric);
        let (depth, value) = depths.max_by_key(|(depth, _)| *depth)?;
        Some((metric.at(depth).into_name(), value?))
    };
    let whole = [VAL_CROSS_ENTROPY, VAL_BITS_PER_BYTE]
        .map(|metric| Some((metric.name().to_owned(), record.get(metric)?)));
    let per_depth = [VAL_PERPLEXITY, VAL_ACCURACY].map(deepest);
    whole.into_iter().chain(per_depth).flatten().collect()
}
