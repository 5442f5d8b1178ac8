//! Detects that the loss rises and does not come back.

use rondo_metrics::names::LOSS;

use super::Change;
use super::recent::Recent;
use crate::config::DivergenceConfig;
use crate::failure::Evidence;

/// Readings in a median.
const WINDOW: usize = 15;

/// The rule for a loss that has risen and stays high.
#[derive(Clone, Debug)]
pub(crate) struct Rising {
    config: DivergenceConfig,
    recent: Recent,
    best: f64,
    since: Option<u64>,
    diverged: bool,
}

impl Rising {
    pub(crate) fn new(config: DivergenceConfig) -> Self {
        Self {
            config,
            recent: Recent::of(WINDOW),
            best: f64::INFINITY,
            since: None,
            diverged: false,
        }
    }

    /// Restarts the measurement because the difficulty has changed; an earlier finding stays.
    pub(crate) fn restart(&mut self) {
        self.recent.clear();
        self.best = f64::INFINITY;
        self.since = None;
    }

    /// Reads that a loss or a gradient was not finite.
    pub(crate) fn nonfinite(&mut self, step: u64) -> Option<Change> {
        let first = !std::mem::replace(&mut self.diverged, true);
        first.then(|| Change::Begins {
            since: self.since.unwrap_or(step),
            evidence: vec![Evidence::new(LOSS.name(), f64::NAN)],
        })
    }

    /// Reads the training loss of a step.
    pub(crate) fn observe(&mut self, step: u64, loss: f64) -> Option<Change> {
        if !loss.is_finite() {
            return self.nonfinite(step);
        }
        self.recent.push(loss);
        let median = self.recent.median()?;
        self.best = self.best.min(median);
        if median < self.best + self.config.rise {
            self.since = None;
            return std::mem::take(&mut self.diverged).then_some(Change::Ends);
        }
        let since = *self.since.get_or_insert(step);
        if self.diverged || step.saturating_sub(since) < self.config.steps {
            return None;
        }
        self.diverged = true;
        Some(Change::Begins {
            since,
            evidence: vec![
                Evidence::new("median_loss", median),
                Evidence::new("lowest_median_loss", self.best),
                Evidence::new("threshold", self.config.rise),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> Rising {
        Rising::new(DivergenceConfig::default())
    }

    fn feed(rule: &mut Rising, losses: impl IntoIterator<Item = f64>) -> Vec<(u64, bool)> {
        (0..)
            .zip(losses)
            .filter_map(|(step, loss)| {
                let change = rule.observe(step, loss)?;
                Some((step, matches!(change, Change::Begins { .. })))
            })
            .collect()
    }

    #[test]
    fn a_rise_that_stays_is_a_divergence_and_a_fall_ends_it() {
        let high = [3.0; 20].into_iter().chain([4.0; 60]);
        // The median of fifteen rises at the eighth high reading, at step 27.
        assert_eq!(feed(&mut rule(), high.clone()), [(77, true)]);
        assert_eq!(
            feed(&mut rule(), high.chain([3.0; 9])),
            [(77, true), (87, false)]
        );
    }

    #[test]
    fn a_falling_loss_a_spike_and_a_small_rise_are_none() {
        let falling = (0..200).map(|step| 7.0 - 0.02 * f64::from(step));
        assert_eq!(feed(&mut rule(), falling), []);
        let spike = [3.0; 20].into_iter().chain([9.0; 4]).chain([3.0; 60]);
        assert_eq!(feed(&mut rule(), spike), []);
        let small = [3.0; 20].into_iter().chain([3.4; 90]);
        assert_eq!(feed(&mut rule(), small), []);
    }

    #[test]
    fn what_is_not_finite_is_a_divergence_at_once() {
        let mut rule = rule();
        assert_eq!(feed(&mut rule, [3.0, f64::NAN, f64::INFINITY]), [(1, true)]);
        assert_eq!(feed(&mut rule, [3.0; 20]), [(13, false)]);
    }

    #[test]
    fn a_harder_task_starts_anew() {
        let mut rule = rule();
        feed(&mut rule, [0.1; 20]);
        rule.restart();
        assert_eq!(feed(&mut rule, [2.0; 90]), []);
    }

    #[test]
    fn steps_that_fall_make_no_rise_last() {
        let mut rule = rule();
        feed(&mut rule, [3.0; 20]);
        let mut begins = |step| rule.observe(step, 4.0).is_some();
        assert!((100..120).all(|step| !begins(step)));
        assert!((0..20).all(|step| !begins(step)));
        assert!(begins(200));
    }
}
