//! Schedules given by a few numbers: rates at knots, with straight lines between them.

use super::Horizon;
use crate::schedule::{Steps, sum_before_peak};

/// The maximum number of pieces of a searched schedule.
const PIECES: u64 = 64;

/// The steps of the knots. They are denser toward the end of the run, where the cooldown is.
#[derive(Clone, Debug)]
pub(super) struct Knots {
    /// The step indices of the knots; index 0 is the first step at the peak.
    places: Vec<usize>,
    before: f64,
}

impl Knots {
    /// Places the knots i = 0 … n at `length·(1 − (1 − i/n)²)` steps after the peak.
    pub(super) fn new(horizon: &Horizon) -> Self {
        let length = horizon.steps - horizon.first();
        let count = length.min(PIECES);
        let place = |i: u64| {
            let left = 1.0 - i as f64 / count as f64;
            (length as f64 * (1.0 - left * left)).round() as usize
        };
        let mut places: Vec<usize> = (0..=count).map(place).collect();
        places.dedup();
        Self {
            places,
            before: sum_before_peak(horizon.first(), horizon.peak),
        }
    }

    pub(super) fn places(&self) -> &[usize] {
        &self.places
    }

    /// Returns every step of the schedule that has these rates at its knots.
    pub(super) fn steps(&self, rates: &[f64]) -> Steps {
        Steps::through(self.before, &self.places, rates)
    }

    /// Distributes each number of `by_step` to the two knots around its step, with the weights of
    /// linear interpolation, and returns the sums. This turns derivatives with respect to the rates
    /// of steps into derivatives with respect to the rates of knots.
    pub(super) fn gathered(&self, by_step: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.places.len()];
        sums[0] += by_step[0];
        for (i, pair) in self.places.windows(2).enumerate() {
            let (from, to) = (pair[0], pair[1]);
            for (offset, value) in by_step[from + 1..=to].iter().enumerate() {
                let share = (offset + 1) as f64 / (to - from) as f64;
                sums[i] += (1.0 - share) * value;
                sums[i + 1] += share * value;
            }
        }
        sums
    }
}

/// Returns the indices of a subset of the points. Straight lines through this subset miss no other
/// point by more than `tolerance`.
pub(super) fn needed(places: &[usize], rates: &[f64], tolerance: f64) -> Vec<usize> {
    let mut kept = vec![0];
    let mut open = vec![(0, places.len() - 1)];
    while let Some((first, last)) = open.pop() {
        let run = (places[last] - places[first]) as f64;
        let miss = |i: usize| {
            let share = (places[i] - places[first]) as f64 / run;
            (rates[first] + share * (rates[last] - rates[first]) - rates[i]).abs()
        };
        let worst = (first + 1..last).max_by(|one, other| miss(*one).total_cmp(&miss(*other)));
        match worst {
            Some(worst) if miss(worst) > tolerance => {
                open.push((worst, last));
                open.push((first, worst));
            }
            _ => kept.push(last),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knots_are_denser_toward_the_end_and_every_step_of_a_short_run_is_one_at_most() {
        let horizon = |steps| Horizon {
            warmup: 10,
            steps,
            peak: 1.0,
            floor: 0.0,
        };
        let long = Knots::new(&horizon(10_010));
        let gaps: Vec<usize> = long.places.windows(2).map(|p| p[1] - p[0]).collect();
        assert!(gaps.is_sorted_by(|a, b| a >= b), "{gaps:?}");
        assert_eq!((long.places[0], long.places.last()), (0, Some(&10_000)));
        let short = Knots::new(&horizon(13));
        assert!(
            short.places.is_sorted_by(|a, b| a < b),
            "{:?}",
            short.places
        );
        assert_eq!(short.places.last(), Some(&3));
    }

    #[test]
    fn what_is_gathered_is_the_derivative_by_the_knots() {
        let knots = Knots {
            places: vec![0, 4, 5],
            before: 0.0,
        };
        // The sums of the steps' weights: 1 + ¾ + ½ + ¼ for the first knot, the remaining weights
        // for the second, and 1 for the last.
        assert_eq!(knots.gathered(&[1.0; 6]), [2.5, 2.5, 1.0]);
        let sum = |rates: &[f64]| knots.steps(rates).sums[5];
        assert!((sum(&[1.0, 0.0, 0.0]) - 2.5).abs() < 1e-12);
        assert!((sum(&[0.0, 1.0, 0.0]) - 2.5).abs() < 1e-12);
    }

    #[test]
    fn points_on_a_line_are_not_needed() {
        let kept = needed(&[0, 10, 20, 30, 40], &[4.0, 4.0, 4.0, 2.0, 0.0], 1e-9);
        assert_eq!(kept, [0, 2, 4]);
    }
}
