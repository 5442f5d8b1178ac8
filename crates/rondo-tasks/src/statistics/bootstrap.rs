//! The paired bootstrap: it resamples items, with the same items for every condition.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::Serialize;

use super::LEVEL;

/// The confidence interval of an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// Repeated samples of the items with replacement. Every condition uses the same samples.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// For each condition, the estimate from each resample.
    estimates: Vec<Vec<f64>>,
}

impl Bootstrap {
    /// Resamples the items `resamples` times. Each condition is a list with a value and a weight
    /// for each item, and its estimate is `Σ values / Σ weights`. The same seed draws the same
    /// items.
    ///
    /// B. Efron 1979, doi:10.1214/aos/1176344552.
    ///
    /// # Panics
    ///
    /// Panics where conditions have different numbers of items.
    pub fn new(conditions: &[Vec<(f64, f64)>], resamples: usize, seed: u64) -> Self {
        let items = conditions.first().map_or(0, Vec::len);
        assert!(
            conditions.iter().all(|condition| condition.len() == items),
            "the same items under every condition"
        );
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut estimates = vec![Vec::with_capacity(resamples); conditions.len()];
        let mut drawn = vec![0.0; items];
        for _ in 0..resamples {
            drawn.fill(0.0);
            for _ in 0..items {
                // The upper half of the product is a number below `items`.
                let at = (u128::from(rng.next_u64()) * items as u128) >> 64;
                drawn[at as usize] += 1.0;
            }
            for (estimates, condition) in estimates.iter_mut().zip(conditions) {
                let (mut values, mut weights) = (0.0, 0.0);
                for (times, (value, weight)) in drawn.iter().zip(condition) {
                    values += times * value;
                    weights += times * weight;
                }
                estimates.push(values / weights);
            }
        }
        Self { estimates }
    }

    /// Returns the interval of a condition's estimate.
    pub fn interval(&self, condition: usize) -> Option<Interval> {
        percentiles(self.estimates[condition].clone())
    }

    /// Returns the interval of the difference: the estimate of `second` minus the estimate of
    /// `first`.
    pub fn difference(&self, first: usize, second: usize) -> Option<Interval> {
        let pairs = self.estimates[first].iter().zip(&self.estimates[second]);
        percentiles(pairs.map(|(first, second)| second - first).collect())
    }
}

/// Returns the range of the middle [`LEVEL`] of the values, with linear interpolation between
/// neighbours. Returns `None` if there are no values or one of them is NaN.
fn percentiles(mut values: Vec<f64>) -> Option<Interval> {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (values.len() - 1) as f64;
        let below = place.floor() as usize;
        let above = values[(below + 1).min(values.len() - 1)];
        values[below] + (place - place.floor()) * (above - values[below])
    };
    let tail = (1.0 - LEVEL) / 2.0;
    Some(Interval {
        low: at(tail),
        high: at(1.0 - tail),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns items with values of 0 or 1 and a weight of 1.
    fn shares(values: &[u8]) -> Vec<(f64, f64)> {
        values
            .iter()
            .map(|value| (f64::from(*value), 1.0))
            .collect()
    }

    #[test]
    fn conditions_that_agree_on_every_item_differ_by_nothing() {
        let one = shares(&[0, 1, 1, 0, 1, 0, 0, 1]);
        let boot = Bootstrap::new(&[one.clone(), one], 200, 0);
        assert_eq!(
            boot.difference(0, 1),
            Some(Interval {
                low: 0.0,
                high: 0.0
            })
        );
        let alone = boot.interval(0).expect("an interval");
        assert!(alone.low < 0.5 && alone.high > 0.5, "{alone:?}");
    }

    #[test]
    fn a_pair_is_drawn_together() {
        // The second value is always 1 more than the first, so the difference is 1 in each
        // resample.
        let first: Vec<_> = (0..20).map(|i| (f64::from(i), 1.0)).collect();
        let second: Vec<_> = (1..21).map(|i| (f64::from(i), 1.0)).collect();
        let found = Bootstrap::new(&[first, second], 100, 3).difference(0, 1);
        let found = found.expect("an interval");
        assert!((found.low - 1.0).abs() < 1e-9 && (found.high - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_width_is_that_of_the_normal_approximation() {
        // Of 400 items, 80 are right only under one condition and 40 only under the other. The
        // standard deviation of the mean difference is √((120/400 − 0.1²)/400) = 0.0269.
        let answers = |from: usize, to: usize| {
            let values: Vec<u8> = (0..400)
                .map(|i| u8::from((from..to).contains(&i)))
                .collect();
            shares(&values)
        };
        let found = Bootstrap::new(&[answers(0, 80), answers(80, 120)], 4000, 1);
        let found = found.difference(1, 0).expect("an interval");
        let expected = (0.1 - 1.96 * 0.0269, 0.1 + 1.96 * 0.0269);
        assert!(
            (found.low - expected.0).abs() < 0.006 && (found.high - expected.1).abs() < 0.006,
            "{found:?}"
        );
    }

    #[test]
    fn weights_make_a_ratio_of_sums() {
        let boot = Bootstrap::new(&[vec![(6.0, 2.0), (9.0, 3.0)]], 50, 0);
        assert_eq!(
            boot.interval(0),
            Some(Interval {
                low: 3.0,
                high: 3.0
            })
        );
    }
}
