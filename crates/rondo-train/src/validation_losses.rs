//! The validation losses of a run by step, which decide the best checkpoint.

use std::path::Path;

use rondo_metrics::History;
use rondo_metrics::names::VAL_CROSS_ENTROPY;

use crate::error::Result;

/// Validation cross entropies at the mean depth, by step.
#[derive(Default)]
pub struct ValidationLosses(Vec<(u64, f64)>);

impl ValidationLosses {
    /// Reads the losses from the `metrics` of a run; empty if there is no such file.
    ///
    /// # Errors
    ///
    /// When the metrics cannot be read.
    pub fn read(metrics: &Path) -> Result<Self> {
        if !metrics.is_file() {
            return Ok(Self::default());
        }
        let history = History::read(metrics)?;
        let readings = history.series(VAL_CROSS_ENTROPY);
        Ok(Self(
            readings
                .iter()
                .map(|reading| (reading.step, reading.value))
                .collect(),
        ))
    }

    /// Returns the loss after a step, if it was evaluated and the loss is finite.
    pub fn after(&self, step: u64) -> Option<f64> {
        let found = self.0.iter().rev().find(|(at, _)| *at == step);
        found.map(|(_, loss)| *loss).filter(|loss| loss.is_finite())
    }

    /// Returns the step with the lowest loss, and that loss; `None` if none of the steps was
    /// evaluated.
    pub fn lowest(&self, steps: impl Iterator<Item = u64>) -> Option<(u64, f64)> {
        steps
            .filter_map(|step| Some((step, self.after(step)?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_finite_loss_is_the_best_and_of_equal_ones_the_first() {
        let losses = ValidationLosses(vec![
            (0, 1.0),
            (5, 3.0),
            (10, f64::NAN),
            (15, 2.0),
            (20, 2.0),
        ]);
        assert_eq!(losses.after(5), Some(3.0));
        assert_eq!(losses.after(10), None);
        assert_eq!(losses.lowest([5, 10, 15, 20].into_iter()), Some((15, 2.0)));
        assert_eq!(losses.lowest([7, 10].into_iter()), None);
    }
}
