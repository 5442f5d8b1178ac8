//! Detects that the correlation between the states of all tokens stays near 1.

use rondo_metrics::names::HIDDEN_STATE_CORR;

use super::Change;
use crate::config::CollapseConfig;
use crate::failure::Evidence;

/// The minimum number of readings that confirm a change, however many steps lie between the
/// readings.
const READINGS: usize = 3;

/// Consecutive readings on one side of the threshold.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    since: u64,
    readings: usize,
    lowest: f64,
}

/// The rule for collapsed hidden states.
#[derive(Clone, Debug)]
pub(crate) struct Collapse {
    config: CollapseConfig,
    collapsed: bool,
    /// The latest consecutive readings that contradict the current state (collapsed or not).
    against: Option<Stretch>,
}

impl Collapse {
    pub(crate) fn new(config: CollapseConfig) -> Self {
        Self {
            config,
            collapsed: false,
            against: None,
        }
    }

    /// Reads the mean correlation between the states of two different tokens at a step.
    pub(crate) fn observe(&mut self, step: u64, correlation: f64) -> Option<Change> {
        let is_one = correlation >= self.config.correlation;
        if is_one == self.collapsed {
            self.against = None;
            return None;
        }
        let stretch = self.against.get_or_insert(Stretch {
            since: step,
            readings: 0,
            lowest: correlation,
        });
        stretch.readings += 1;
        stretch.lowest = stretch.lowest.min(correlation);
        let Stretch {
            since,
            readings,
            lowest,
        } = *stretch;
        if step.saturating_sub(since) < self.config.steps || readings < READINGS {
            return None;
        }
        self.collapsed = is_one;
        self.against = None;
        Some(match is_one {
            true => Change::Begins {
                since,
                evidence: vec![
                    Evidence::new(HIDDEN_STATE_CORR.name(), correlation),
                    Evidence::new("lowest", lowest),
                    Evidence::new("threshold", self.config.correlation),
                ],
            },
            false => Change::Ends,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(readings: impl IntoIterator<Item = (u64, f64)>) -> Vec<(u64, bool)> {
        let mut rule = Collapse::new(CollapseConfig {
            steps: 10,
            ..CollapseConfig::default()
        });
        let change = |(step, correlation)| {
            let change = rule.observe(step, correlation)?;
            Some((step, matches!(change, Change::Begins { .. })))
        };
        readings.into_iter().filter_map(change).collect()
    }

    #[test]
    fn a_collapse_must_last() {
        let one = |range: std::ops::Range<u64>| range.map(|step| (step, 0.99));
        assert_eq!(changes(one(5..15)), []);
        assert_eq!(changes(one(5..16)), [(15, true)]);
        let interrupted = one(0..9).chain([(9, 0.9)]).chain(one(10..19));
        assert_eq!(changes(interrupted), []);
    }

    #[test]
    fn two_readings_far_apart_are_no_trend() {
        assert_eq!(changes([(0, 1.0), (100, 1.0)]), []);
        assert_eq!(changes([(0, 1.0), (100, 1.0), (200, 1.0)]), [(200, true)]);
    }

    #[test]
    fn steps_that_fall_make_no_stretch_last() {
        let readings = [(100, 1.0), (3, 1.0), (50, 1.0), (109, 1.0), (110, 1.0)];
        assert_eq!(changes(readings), [(110, true)]);
    }

    #[test]
    fn a_recovery_must_last_too() {
        let collapsed = (0..20).map(|step| (step, 1.0));
        let dip = [(20, 0.5), (21, 1.0)];
        let recovered = (22..40).map(|step| (step, 0.3));
        assert_eq!(
            changes(collapsed.chain(dip).chain(recovered)),
            [(10, true), (32, false)]
        );
    }
}
