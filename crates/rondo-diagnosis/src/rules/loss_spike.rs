//! Detects a single loss that is far above the recent losses.

use rondo_metrics::names::LOSS;

use super::Change;
use super::recent::Recent;
use crate::config::LossSpikeConfig;
use crate::failure::Evidence;

/// The number of recent losses that a loss is compared with.
const WINDOW: usize = 32;

/// The rule for a loss above the band of its recent values.
#[derive(Clone, Debug)]
pub(crate) struct Spike {
    config: LossSpikeConfig,
    recent: Recent,
    above: bool,
}

impl Spike {
    pub(crate) fn new(config: LossSpikeConfig) -> Self {
        Self {
            config,
            recent: Recent::of(WINDOW),
            above: false,
        }
    }

    /// Restarts the measurement, because the difficulty of the task has changed.
    pub(crate) fn restart(&mut self) {
        self.recent.clear();
    }

    /// Reads the training loss of a step. A loss that is not finite is no spike.
    pub(crate) fn observe(&mut self, step: u64, loss: f64) -> Option<Change> {
        if !loss.is_finite() {
            return None;
        }
        // The window contains every loss, so a higher level that lasts soon becomes the new band.
        let median = self.recent.median();
        let limit = median.map(|median| {
            let band = self.config.deviations * self.recent.deviation(median);
            median + band.max(self.config.rise)
        });
        self.recent.push(loss);
        let above = limit.is_some_and(|limit| loss > limit);
        let was_above = std::mem::replace(&mut self.above, above);
        match (was_above, above) {
            (false, true) => Some(Change::Begins {
                since: step,
                evidence: [
                    (LOSS.name(), Some(loss)),
                    ("median", median),
                    ("limit", limit),
                ]
                .into_iter()
                .filter_map(|(name, value)| Some(Evidence::new(name, value?)))
                .collect(),
            }),
            (true, false) => Some(Change::Ends),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(losses: impl IntoIterator<Item = f64>) -> Vec<(u64, bool)> {
        let mut rule = Spike::new(LossSpikeConfig::default());
        (0..)
            .zip(losses)
            .filter_map(|(step, loss)| {
                let change = rule.observe(step, loss)?;
                Some((step, matches!(change, Change::Begins { .. })))
            })
            .collect()
    }

    /// Returns losses that vary by ±0.1 around 3.
    fn noise(count: usize) -> impl Iterator<Item = f64> {
        (0..count).map(|index| 3.0 + 0.1 * (index as f64 * 2.4).sin())
    }

    #[test]
    fn a_spike_is_told_once_and_ends_in_the_band() {
        let losses = noise(40).chain([5.0, 6.0, 5.0]).chain(noise(40));
        assert_eq!(feed(losses), [(40, true), (43, false)]);
    }

    #[test]
    fn noise_and_a_first_loss_are_none() {
        assert_eq!(feed(noise(200)), []);
        assert_eq!(feed([9.0].into_iter().chain(noise(40))), []);
    }

    #[test]
    fn noisier_losses_have_a_wider_band() {
        let noisy = |count| noise(count).map(|loss| 3.0 + 5.0 * (loss - 3.0));
        assert_eq!(feed(noisy(40).chain([5.0]).chain(noisy(9))), []);
        assert_eq!(feed(noise(40).chain([5.0]).chain(noise(9))).len(), 2);
    }
}
