//! The recent rate of a count (tokens, steps, bytes), and the time that a remaining amount will
//! take.
//!
//! `rate = Σ amount / Σ seconds` over the last intervals. Steps of a looped model differ in length,
//! because their depth is drawn. The ratio of sums is the rate of the whole window; a mean of rates
//! would favour the short steps. This module reads no clock: the caller passes the length of each
//! interval, and leaves out pauses for evaluations and checkpoints.

use std::collections::VecDeque;

/// A sliding window of measured intervals.
#[derive(Clone, Debug)]
pub(crate) struct Throughput {
    window: usize,
    intervals: VecDeque<(f64, f64)>,
}

impl Throughput {
    /// Starts an empty window for the last `window` intervals, at least one.
    pub(crate) fn new(window: usize) -> Self {
        Self {
            window: window.max(1),
            intervals: VecDeque::new(),
        }
    }

    /// Adds an interval. An interval is ignored if its amount or its duration is not positive and
    /// finite.
    pub(crate) fn push(&mut self, amount: f64, seconds: f64) {
        let measured = |x: f64| x.is_finite() && x > 0.0;
        if measured(amount) && measured(seconds) {
            if self.intervals.len() == self.window {
                self.intervals.pop_front();
            }
            self.intervals.push_back((amount, seconds));
        }
    }

    /// Returns the amount per second; `None` before the first interval.
    pub(crate) fn per_second(&self) -> Option<f64> {
        let (amount, seconds) = self.intervals.iter().fold((0.0, 0.0), |sum, interval| {
            (sum.0 + interval.0, sum.1 + interval.1)
        });
        (seconds > 0.0).then_some(amount / seconds)
    }

    /// Returns the seconds that an amount takes at the current rate.
    pub(crate) fn seconds_for(&self, amount: f64) -> Option<f64> {
        Some(amount / self.per_second()?)
    }

    /// Removes every interval.
    pub(crate) fn clear(&mut self) {
        self.intervals.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_the_ratio_of_sums() {
        let mut tokens = Throughput::new(8);
        assert_eq!((tokens.per_second(), tokens.seconds_for(1.0)), (None, None));
        tokens.push(100.0, 1.0);
        tokens.push(100.0, 4.0);
        // 200 tokens in 5 s give 40. The mean of the rates 100 and 25 would be 62.5.
        assert_eq!(tokens.per_second(), Some(40.0));
        assert_eq!(tokens.seconds_for(120.0), Some(3.0));
    }

    #[test]
    fn old_intervals_leave_the_window() {
        let mut steps = Throughput::new(2);
        for seconds in [60.0, 1.0, 3.0] {
            steps.push(1.0, seconds);
        }
        assert_eq!(steps.per_second(), Some(0.5));
        steps.clear();
        assert_eq!(steps.per_second(), None);
    }

    #[test]
    fn an_interval_that_measures_nothing_is_ignored() {
        let mut steps = Throughput::new(0);
        steps.push(2.0, 1.0);
        for (amount, seconds) in [
            (0.0, 1.0),
            (1.0, 0.0),
            (1.0, -1.0),
            (f64::NAN, 1.0),
            (1.0, f64::INFINITY),
        ] {
            steps.push(amount, seconds);
        }
        assert_eq!(steps.per_second(), Some(2.0));
    }
}
