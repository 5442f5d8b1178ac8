//! The seconds that repetitions of the same work took.

/// The seconds of each repetition, in ascending order; at least one.
#[derive(Clone, Debug)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    /// Sorts the measured seconds.
    pub(super) fn new(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        Self(seconds)
    }

    /// Returns the median in seconds.
    pub(super) fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    /// Returns the spread of the rate (work per second): (max − min) / median.
    pub(super) fn spread(&self) -> f64 {
        let rate = |seconds: f64| self.median() / seconds;
        rate(self.0[0]) - rate(self.0[self.0.len() - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_spread_of_three_samples_by_hand() {
        let samples = Samples::new(vec![4.0, 1.0, 2.0]);
        assert!((samples.median() - 2.0).abs() < 1e-12);
        // The rates are 1, 1/2 and 1/4, and the median is 1/2.
        assert!((samples.spread() - 1.5).abs() < 1e-12);
    }
}
