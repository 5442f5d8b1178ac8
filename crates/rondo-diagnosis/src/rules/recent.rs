//! The last few losses and their median.

use std::collections::VecDeque;

/// The last `size` numbers.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    size: usize,
    values: VecDeque<f64>,
}

impl Recent {
    /// Makes an empty window of `size` numbers.
    pub(super) fn of(size: usize) -> Self {
        Self {
            size,
            values: VecDeque::with_capacity(size),
        }
    }

    /// Adds a finite number. If the window is full, the oldest number is dropped.
    pub(super) fn push(&mut self, value: f64) {
        if self.values.len() == self.size {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    /// Removes all numbers.
    pub(super) fn clear(&mut self) {
        self.values.clear();
    }

    /// Returns the median; `None` if the window is not full.
    pub(super) fn median(&self) -> Option<f64> {
        self.median_of(self.size)
    }

    /// Returns the median; `None` if there are fewer than `least` numbers.
    pub(super) fn median_of(&self, least: usize) -> Option<f64> {
        (self.values.len() >= least.max(1)).then(|| median(self.values.iter().copied()))
    }

    /// Returns the median distance from `centre`, scaled so that it is the standard deviation for a
    /// normal distribution.
    pub(super) fn deviation(&self, centre: f64) -> f64 {
        const NORMAL: f64 = 1.4826;
        NORMAL * median(self.values.iter().map(|value| (value - centre).abs()))
    }
}

/// Returns the median of the numbers; of two middle numbers it returns the upper one. There must be
/// at least one number.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "medians are among their numbers")]

    use super::*;

    #[test]
    fn the_median_is_that_of_the_last_few() {
        let mut recent = Recent::of(3);
        for value in [9.0, 1.0] {
            recent.push(value);
            assert_eq!(recent.median(), None);
        }
        recent.push(5.0);
        assert_eq!(recent.median(), Some(5.0));
        recent.push(2.0);
        assert_eq!(recent.median(), Some(2.0));
        assert_eq!(recent.deviation(2.0), 1.4826);
    }
}
