//! Detects that the loss rises and does not fall again.

use rondo_metrics::names::LOSS;

use super::Change;
use super::recent::Recent;
use crate::config::DivergenceConfig;
use crate::failure::Evidence;

/// The number of readings in a median.
const WINDOW: usize = 15;
/// The number of readings that suffice to find a loss far above the first loss. A short run has no
/// more readings.
const FEWEST: usize = 5;
/// If the median exceeds the first loss by this many times the configured rise, the run has
/// diverged, for however short a time.
const FAR: f64 = 10.0;

/// The rule for a loss that has risen and stays high.
#[derive(Clone, Debug)]
pub(crate) struct Rising {
    config: DivergenceConfig,
    recent: Recent,
    /// The first loss since the start or the last restart.
    first: Option<f64>,
    best: f64,
    since: Option<u64>,
    diverged: bool,
}

impl Rising {
    pub(crate) fn new(config: DivergenceConfig) -> Self {
        Self {
            config,
            recent: Recent::of(WINDOW),
            first: None,
            best: f64::INFINITY,
            since: None,
            diverged: false,
        }
    }

    /// Restarts the measurement, because the difficulty of the task has changed. An earlier finding
    /// stays.
    pub(crate) fn restart(&mut self) {
        self.recent.clear();
        self.first = None;
        self.best = f64::INFINITY;
        self.since = None;
    }

    /// Reads the fact that a loss or a gradient was not finite.
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
        let first = *self.first.get_or_insert(loss);
        let median = self.recent.median();
        self.best = self.best.min(median.unwrap_or(f64::INFINITY));
        let early = self.recent.median_of(FEWEST)?;
        let is_far = early >= first + FAR * self.config.rise;
        if !is_far && median? < self.best + self.config.rise {
            self.since = None;
            return std::mem::take(&mut self.diverged).then_some(Change::Ends);
        }
        let since = *self.since.get_or_insert(step);
        let lasts = is_far || step.saturating_sub(since) >= self.config.steps;
        if self.diverged || !lasts {
            return None;
        }
        self.diverged = true;
        let reference = match is_far {
            true => Evidence::new("first_loss", first),
            false => Evidence::new("lowest_median_loss", self.best),
        };
        Some(Change::Begins {
            since,
            evidence: vec![
                Evidence::new("median_loss", early),
                reference,
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
        // The median of fifteen losses rises at the eighth high loss, at step 27.
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
    fn a_loss_far_above_the_first_is_a_divergence_in_the_shortest_run_too() {
        // The upper median of six readings is far above as soon as three readings are. The limit is
        // 5.5 + 10 · 0.5 = 10.5.
        let exploding = [5.5, 5.0, 6.0, 1e3, 1e4, 1e5];
        assert_eq!(feed(&mut rule(), exploding), [(5, true)]);
        // The divergence is over as soon as the median of fifteen losses is back.
        let back = exploding.into_iter().chain([5.0; 20]);
        assert_eq!(feed(&mut rule(), back), [(5, true), (14, false)]);
        // Two high readings are only a spike, and a smaller rise has to last.
        let spike = [5.5, 5.0, 1e5, 1e5, 5.0, 5.0];
        assert_eq!(feed(&mut rule(), spike), []);
        assert_eq!(feed(&mut rule(), [5.5, 5.0, 9.0, 9.0, 9.0, 10.0]), []);
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
