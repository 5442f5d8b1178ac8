//! The validation loss after each evaluated step of a run. The losses decide which checkpoint is
//! the best.

use std::path::Path;

use rondo_metrics::History;
use rondo_metrics::names::VAL_CROSS_ENTROPY;

use crate::error::Result;

/// Pairs of a step and the validation cross entropy at the mean recurrence.
#[derive(Default)]
pub struct ValidationLosses(Vec<(u64, f64)>);

impl ValidationLosses {
    /// Reads the losses from the file `metrics` of a run. The list is empty if the file does not
    /// exist.
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

    /// Returns the loss after step `step`. `None` if there was no evaluation or the loss is not
    /// finite.
    pub fn after(&self, step: u64) -> Option<f64> {
        let found = self.0.iter().rev().find(|(at, _)| *at == step);
        found.map(|(_, loss)| *loss).filter(|loss| loss.is_finite())
    }

    /// Returns the step with the lowest loss, together with the loss. `None` if none of the steps
    /// has a finite loss.
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
