//! The newest measurements of a run, for its summary.

use std::f64::consts::LN_2;

use rondo_metrics::names::{
    LOSS, VAL_ACCURACY, VAL_ACCURACY_BY_POSITION, VAL_CROSS_ENTROPY, VAL_LOSS, VAL_SPARSITY,
};
use rondo_metrics::{History, Kind, Record, Table};

use crate::config::ResolvedConfig;
use crate::evaluate::DepthResult;
use crate::evaluate::tables::depth_table;

/// The newest measurements of a run, for its summary.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Summary {
    pub(super) loss: Option<f64>,
    pub(super) depths: Vec<DepthResult>,
    /// The step of the newest evaluation, and the loss at the mean recurrence.
    pub(super) evaluated: Option<(u64, f64)>,
    /// The share of edges that gates keep, if there are gates.
    pub(super) kept_edges: Option<f64>,
}

impl Summary {
    /// Takes the newest measurements from the history of a run. Uses the depths at which `config`
    /// evaluates.
    pub(super) fn of(
        history: &History,
        config: &ResolvedConfig,
        bytes_per_token: Option<f64>,
    ) -> Self {
        let train = history.series(LOSS);
        let eval = history.of(Kind::Eval).next_back();
        let loss = |record: &Record| record.get(VAL_CROSS_ENTROPY);
        let of_depth = |record: &Record, recurrence| of_depth(record, recurrence, bytes_per_token);
        Self {
            loss: train.last().map(|reading| reading.value),
            depths: eval.map_or_else(Vec::new, |record| {
                let depths = config.eval.recurrence.iter();
                depths
                    .filter_map(|depth| of_depth(record, *depth))
                    .collect()
            }),
            evaluated: eval.and_then(|record| Some((record.step, loss(record)?))),
            kept_edges: eval.and_then(|record| record.get(VAL_SPARSITY)),
        }
    }

    /// Returns the table of the newest evaluation, with one row for each depth.
    pub(super) fn table(&self) -> Table {
        depth_table(&self.depths)
    }
}

fn of_depth(
    record: &Record,
    recurrence: usize,
    bytes_per_token: Option<f64>,
) -> Option<DepthResult> {
    let loss = record.get(VAL_LOSS.at(recurrence))?;
    let by_position = record.get(VAL_ACCURACY_BY_POSITION.at(recurrence));
    Some(DepthResult {
        recurrence,
        loss,
        perplexity: loss.exp(),
        bits_per_byte: bytes_per_token.map(|bytes| loss / LN_2 / bytes),
        accuracy: record.get(VAL_ACCURACY.at(recurrence)),
        accuracy_by_position: by_position.map(<[_]>::to_vec),
    })
}
