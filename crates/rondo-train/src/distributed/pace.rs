//! Measures how long the ranks of a run compute and wait.

use std::time::Instant;

use super::World;
use crate::error::Result;

/// A rank is slow in a step if it computes at least this many times as long as the median rank.
const SLOW: f64 = 1.2;
/// A rank is reported after it has been slow in this many steps in a row.
const SLOW_STEPS: u64 = 50;

/// Measures how long this rank computes and waits between two logged steps.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    since: Instant,
    /// Seconds spent outside reductions.
    busy: f64,
    /// Seconds spent in reductions.
    reducing: f64,
    steps: u64,
    slow: Slow,
}

/// The times of all ranks between two logged steps.
#[derive(Clone, Debug, PartialEq)]
pub struct RankPace {
    /// Mean seconds per step in a reduction, on the rank that spends the least time in reductions.
    pub reduce_seconds: f64,
    /// The mean computing time per step of the slowest rank, minus that of the median rank, in
    /// seconds.
    pub wait_seconds: f64,
    /// The largest memory use of a rank, in bytes; `None` if unknown.
    pub(crate) memory_bytes: Option<u64>,
    /// The message about a rank that has become slow. Each rank is reported once.
    pub(crate) slow: Option<String>,
}

impl Stopwatch {
    /// Creates a stopwatch that runs from now on.
    pub(super) fn start() -> Self {
        Self {
            since: Instant::now(),
            busy: 0.0,
            reducing: 0.0,
            steps: 0,
            slow: Slow::default(),
        }
    }

    /// Records the start of a reduction.
    pub(super) fn arrive(&mut self) {
        self.busy += self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
    }

    /// Records the end of a reduction, and counts a step.
    pub(super) fn leave(&mut self) {
        self.reducing += self.since.elapsed().as_secs_f64();
        self.since = Instant::now();
        self.steps += 1;
    }

    /// Returns how long the ranks have computed and waited since the last call.
    ///
    /// # Errors
    ///
    /// When a rank is missing.
    pub(super) fn lap(&mut self, world: &World, memory: Option<u64>) -> Result<RankPace> {
        let mine = [self.busy, self.reducing, memory.map_or(-1.0, |m| m as f64)];
        let all = world.told(world.collective().all_gather_numbers(&mine))?;
        let column = |column: usize| all.chunks_exact(3).map(move |rank| rank[column]);
        let busy: Vec<f64> = column(0).collect();
        let steps = self.steps.max(1);
        let largest = column(2).fold(-1.0, f64::max);
        let least = column(1).fold(f64::INFINITY, f64::min);
        let slow = self.slow.observe(&busy, steps);
        let pace = RankPace {
            reduce_seconds: least / steps as f64,
            wait_seconds: (largest_of(&busy) - median(&busy)) / steps as f64,
            memory_bytes: (largest >= 0.0).then_some(largest as u64),
            slow: slow.map(|(rank, factor)| {
                format!(
                    "{} has taken {factor:.1} times as long as the median rank for {SLOW_STEPS} steps: all wait for it",
                    world.name(rank)
                )
            }),
        };
        (self.busy, self.reducing, self.steps) = (0.0, 0.0, 0);
        Ok(pace)
    }
}

/// The rank that is slow now, and the number of steps for which it has been slow.
#[derive(Debug, Default)]
struct Slow {
    rank: Option<usize>,
    steps: u64,
    told: Vec<usize>,
}

impl Slow {
    /// Records the seconds that each rank has computed in `steps` steps. If the slowest rank has
    /// been slow for at least [`SLOW_STEPS`] steps and was not reported before, returns the rank
    /// and a factor: the computing time of the rank divided by that of the median rank.
    fn observe(&mut self, busy: &[f64], steps: u64) -> Option<(usize, f64)> {
        let slowest = (0..busy.len()).max_by(|a, b| busy[*a].total_cmp(&busy[*b]))?;
        let factor = busy[slowest] / median(busy).max(f64::MIN_POSITIVE);
        if factor < SLOW {
            (self.rank, self.steps) = (None, 0);
            return None;
        }
        if self.rank != Some(slowest) {
            (self.rank, self.steps) = (Some(slowest), 0);
        }
        self.steps += steps;
        if self.steps < SLOW_STEPS || self.told.contains(&slowest) {
            return None;
        }
        self.told.push(slowest);
        Some((slowest, factor))
    }
}

/// Returns the median. For an even number of values, this is the lower of the two middle values, so
/// that the median is always the value of a rank.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() - 1) / 2).copied().unwrap_or(0.0)
}

fn largest_of(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_is_told_once_that_has_been_slow_for_fifty_steps() {
        let mut slow = Slow::default();
        assert_eq!(slow.observe(&[1.0, 1.0, 1.3], 30), None);
        let (rank, factor) = slow.observe(&[1.0, 1.0, 1.3], 30).expect("sixty steps");
        assert_eq!(rank, 2);
        assert!((factor - 1.3).abs() < 1e-12);
        assert_eq!(slow.observe(&[1.0, 1.0, 1.3], 30), None);
    }

    #[test]
    fn one_fast_lap_begins_the_count_again() {
        let mut slow = Slow::default();
        assert_eq!(slow.observe(&[1.0, 1.5], 40), None);
        assert_eq!(slow.observe(&[1.0, 1.1], 40), None);
        assert_eq!(slow.observe(&[1.0, 1.5], 40), None);
    }

    #[test]
    fn the_median_is_a_ranks_own() {
        for (values, expected) in [(&[3.0, 1.0, 2.0][..], 2.0), (&[4.0, 1.0][..], 1.0)] {
            assert!((median(values) - expected).abs() < 1e-12);
        }
    }
}
