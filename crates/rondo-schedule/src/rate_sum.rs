//! The summed learning rate.

use serde::{Deserialize, Serialize};

/// Σ η_t with Neumaier's compensation, so that rounding errors do not accumulate over a long run. A
/// checkpoint stores both fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateSum {
    sum: f64,
    lost: f64,
}

impl RateSum {
    /// Returns the sum of the rates of steps 1 to `step`.
    pub fn up_to(step: u64, rate: impl Fn(u64) -> f64) -> Self {
        let mut sum = Self::default();
        (1..=step).for_each(|t| sum.add(rate(t)));
        sum
    }

    /// Adds one step's rate.
    pub fn add(&mut self, rate: f64) {
        let total = self.sum + rate;
        self.lost += if self.sum.abs() >= rate.abs() {
            (self.sum - total) + rate
        } else {
            (rate - total) + self.sum
        };
        self.sum = total;
    }

    /// Returns the sum.
    pub fn value(&self) -> f64 {
        self.sum + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_small_for_the_sum_is_not_lost() {
        let mut sum = RateSum::default();
        sum.add(1.0);
        (0..1000).for_each(|_| sum.add(1e-17));
        assert!((sum.value() - (1.0 + 1e-14)).abs() < 1e-16);
    }
}
