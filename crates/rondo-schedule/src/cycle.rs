//! Rates that fall and rise in cycles.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decay::half_cosine;

/// The form of f over one cycle, for x from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wave {
    /// `f = |1 − 2x|`: down to the floor and up again.
    #[default]
    Triangular,
    /// `f = (1 + cos πx) / 2`, which jumps back to the peak after each cycle (warm restarts, arXiv
    /// 1608.03983).
    Cosine,
}

/// Consecutive cycles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cycle {
    wave: Wave,
    period: u64,
    growth: u64,
}

impl Cycle {
    /// Makes cycles of `period`, `period·growth`, `period·growth²` … steps.
    pub(crate) fn new(wave: Wave, period: u64, growth: u64) -> Self {
        Self {
            wave,
            period: period.max(1),
            growth: growth.max(1),
        }
    }

    /// Returns f at the step number `since` after the warm-up, counted from 1.
    pub(crate) fn at(self, since: u64) -> f64 {
        let (mut step, mut length) = (since, self.period);
        if self.growth == 1 {
            step = (step - 1) % length + 1;
        }
        while step > length {
            step -= length;
            length = length.saturating_mul(self.growth);
        }
        let x = step as f64 / length as f64;
        match self.wave {
            Wave::Triangular => (1.0 - 2.0 * x).abs(),
            Wave::Cosine => half_cosine(x),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(cycle: Cycle, steps: u64) -> Vec<f64> {
        (1..=steps).map(|since| cycle.at(since)).collect()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (one, other) in found.iter().zip(expected) {
            assert!((one - other).abs() < 1e-15, "{found:?}");
        }
    }

    #[test]
    fn a_triangle_goes_down_and_up_again() {
        let found = values(Cycle::new(Wave::Triangular, 4, 1), 8);
        assert_close(&found, &[0.5, 0.0, 0.5, 1.0, 0.5, 0.0, 0.5, 1.0]);
    }

    #[test]
    fn a_cosine_ends_each_cycle_on_the_floor_and_the_next_one_can_be_longer() {
        let found = values(Cycle::new(Wave::Cosine, 2, 1), 4);
        assert_close(&found, &[0.5, 0.0, 0.5, 0.0]);
        let found = values(Cycle::new(Wave::Cosine, 2, 2), 6);
        let high = f64::midpoint(1.0, 0.5_f64.sqrt());
        assert_close(&found, &[0.5, 0.0, high, 0.5, 1.0 - high, 0.0]);
    }

    #[test]
    fn the_last_step_that_can_be_counted_has_a_value() {
        for (period, growth) in [(1, 1), (1, 2), (3, u64::MAX), (u64::MAX, u64::MAX)] {
            for wave in [Wave::Triangular, Wave::Cosine] {
                let f = Cycle::new(wave, period, growth).at(u64::MAX);
                assert!((0.0..=1.0).contains(&f), "{wave:?} {period} {growth}: {f}");
            }
        }
    }
}
