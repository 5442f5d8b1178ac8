//! The description of one run in a comparison.

use std::collections::BTreeMap;

use rondo_diagnosis::{Finding, Verdict};
use rondo_metrics::Reading;
use rondo_metrics::names::{HIDDEN_STATE_CORR, LOSS, VAL_CROSS_ENTROPY};
use rondo_train::run_history::RunHistory;
use serde::Serialize;

use super::differences::Effort;

/// The description of one run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) run: String,
    pub(super) verdict: Verdict,
    pub(super) step: u64,
    /// The training loss of the last logged step.
    pub(super) final_loss: Option<f64>,
    /// The validation cross entropy at the mean depth, from the last evaluation.
    pub(super) val_loss: Option<f64>,
    /// The perplexity at each recurrence depth, from the last evaluation.
    pub(super) perplexity: BTreeMap<usize, f64>,
    pub(super) hidden_state_corr: Correlation,
    pub(super) findings: Vec<Finding>,
    #[serde(flatten)]
    pub(super) effort: Effort,
}

/// The metric `hidden_state_corr` over the course of a run.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Correlation {
    /// The value of the first logged step.
    pub(super) start: Option<f64>,
    /// The highest value.
    pub(super) peak: Option<f64>,
    pub(super) peak_step: Option<u64>,
    /// The median of the last [`LAST`] logged steps.
    pub(super) end: Option<f64>,
}

/// How many of the last readings represent the end of a run.
const LAST: usize = 10;

impl Row {
    pub(super) fn of(run: &RunHistory) -> Self {
        let correlations = run.history.series(HIDDEN_STATE_CORR);
        Self {
            run: run.name.clone(),
            verdict: run.diagnosis.verdict(),
            step: run.history.last_step(),
            final_loss: run.history.last(LOSS),
            val_loss: run.history.last(VAL_CROSS_ENTROPY),
            perplexity: run.perplexities(),
            hidden_state_corr: Correlation::of(&correlations),
            findings: run.diagnosis.findings().to_vec(),
            effort: Effort::of(run),
        }
    }
}

impl Correlation {
    fn of(readings: &[Reading]) -> Self {
        let peak = readings
            .iter()
            .max_by(|a, b| a.value.total_cmp(&b.value))
            .copied();
        let mut last: Vec<f64> = readings
            .iter()
            .rev()
            .take(LAST)
            .map(|reading| reading.value)
            .collect();
        last.sort_by(f64::total_cmp);
        Self {
            start: readings.first().map(|reading| reading.value),
            peak: peak.map(|reading| reading.value),
            peak_step: peak.map(|reading| reading.step),
            end: last.get(last.len() / 2).copied(),
        }
    }
}
