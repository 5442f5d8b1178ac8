//! Detects a model that has learned, but whose loss after the first iterations is as low as after
//! many.

use rondo_metrics::names::{LOSS, VAL_PERPLEXITY};

use super::Change;
use crate::config::IgnoredStateConfig;
use crate::failure::Evidence;

/// The losses of one evaluation by recurrence depth.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DepthLosses(Vec<(usize, f64)>);

impl DepthLosses {
    /// Makes the losses of an evaluation from pairs of recurrence depth and loss, in any order.
    pub(crate) fn new(mut losses: Vec<(usize, f64)>) -> Self {
        losses.sort_by_key(|(depth, _)| *depth);
        Self(losses)
    }

    /// Returns the lowest loss.
    pub(crate) fn best(&self) -> Option<f64> {
        self.0.iter().map(|(_, loss)| *loss).min_by(f64::total_cmp)
    }

    /// Returns depth and loss at the shallowest depth, and at the best of the deeper depths.
    /// Returns `None` if there is only one depth.
    fn ends(&self) -> Option<[(usize, f64); 2]> {
        let (shallowest, deeper) = self.0.split_first()?;
        let best = deeper.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        Some([*shallowest, *best])
    }
}

/// The rule for an ignored state.
#[derive(Clone, Debug)]
pub(crate) struct IgnoredState {
    config: IgnoredStateConfig,
    ignored: bool,
    /// The step of the first of the consecutive evaluations that show the failure, and the number
    /// of these evaluations.
    run: Option<(u64, u64)>,
}

impl IgnoredState {
    pub(crate) fn new(config: IgnoredStateConfig) -> Self {
        Self {
            config,
            ignored: false,
            run: None,
        }
    }

    /// Reads an evaluation. `reference` is the loss of a model that has learned nothing about the
    /// context, and `recurrence` is the mean recurrence of training.
    ///
    /// If the shallowest evaluated depth is more than half of the mean recurrence, equal losses
    /// prove nothing: a model that has converged at this depth is as good there as at greater
    /// depths.
    pub(crate) fn observe(
        &mut self,
        step: u64,
        losses: &DepthLosses,
        reference: f64,
        recurrence: f64,
    ) -> Option<Change> {
        let [shallow, deep] = losses.ends()?;
        let best = losses.best()?;
        let telling = shallow.0 as f64 <= recurrence / 2.0;
        let learned = best <= self.config.learned * reference;
        // If the failure was found before, it ends only when the gain is more than twice the limit.
        let limit = self.config.gain * if self.ignored { 2.0 } else { 1.0 };
        let gains = shallow.1 - deep.1 > limit;
        if gains || !(telling && learned) {
            self.run = None;
            return std::mem::take(&mut self.ignored).then_some(Change::Ends);
        }
        let (since, evaluations) = self.run.get_or_insert((step, 0));
        *evaluations += 1;
        if self.ignored || *evaluations < self.config.evaluations {
            return None;
        }
        self.ignored = true;
        let perplexity = |(depth, loss): (usize, f64)| {
            Evidence::new(VAL_PERPLEXITY.at(depth).into_name(), loss.exp())
        };
        Some(Change::Begins {
            since: *since,
            evidence: vec![
                perplexity(shallow),
                perplexity(deep),
                Evidence::new(LOSS.name(), best),
                Evidence::new("learned_below", self.config.learned * reference),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(evaluations: &[&[(usize, f64)]], reference: f64, recurrence: f64) -> Option<u64> {
        let mut rule = IgnoredState::new(IgnoredStateConfig::default());
        for (step, losses) in (0..).zip(evaluations) {
            let losses = DepthLosses::new(losses.to_vec());
            if rule.observe(step, &losses, reference, recurrence).is_some() {
                return Some(step);
            }
        }
        None
    }

    const FLAT: &[(usize, f64)] = &[(32, 2.51), (1, 2.50), (4, 2.49)];
    const DEEP: &[(usize, f64)] = &[(1, 2.65), (4, 2.50), (32, 2.50)];

    #[test]
    fn two_evaluations_of_equal_depths_show_it() {
        assert_eq!(begins(&[FLAT], 6.0, 12.0), None);
        assert_eq!(begins(&[FLAT, FLAT], 6.0, 12.0), Some(1));
        assert_eq!(begins(&[FLAT, DEEP, FLAT], 6.0, 12.0), None);
    }

    #[test]
    fn a_model_that_has_not_learned_ignores_nothing() {
        assert_eq!(begins(&[FLAT, FLAT], 2.6, 12.0), None);
    }

    #[test]
    fn depths_that_cannot_tell_are_passed_over() {
        assert_eq!(begins(&[FLAT, FLAT], 6.0, 1.0), None);
        let deep_only: &[(usize, f64)] = &[(16, 2.5), (32, 2.5)];
        assert_eq!(begins(&[deep_only, deep_only], 6.0, 16.0), None);
        let one: &[(usize, f64)] = &[(1, 2.5)];
        assert_eq!(begins(&[one, one, &[]], 6.0, 16.0), None);
    }

    #[test]
    fn a_clear_gain_ends_it_at_once_and_a_small_one_does_not() {
        let mut rule = IgnoredState::new(IgnoredStateConfig::default());
        let mut observe =
            |step, losses: &[_]| rule.observe(step, &DepthLosses::new(losses.to_vec()), 6.0, 12.0);
        assert_eq!(observe(0, FLAT), None);
        let Some(Change::Begins { since, evidence }) = observe(50, FLAT) else {
            panic!("a beginning");
        };
        assert_eq!(since, 0);
        assert_eq!(evidence[0].name, "val_perplexity@1");
        let little: &[(usize, f64)] = &[(1, 2.58), (32, 2.50)];
        assert_eq!(observe(100, little), None);
        assert_eq!(observe(150, DEEP), Some(Change::Ends));
        assert_eq!(observe(200, DEEP), None);
    }
}
