//! Checks the statistical tests on simulated items with known accuracy.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Bootstrap, McNemar};

const DATA_SETS: usize = 2000;
const ITEMS: usize = 200;
const NOMINAL: f64 = 0.05;

/// Returns two standard errors of a share near the nominal level.
fn two_errors(data_sets: usize) -> f64 {
    2.0 * (NOMINAL * (1.0 - NOMINAL) / data_sets as f64).sqrt()
}

/// Draws the outcomes of two conditions. Both have a true accuracy of 60 %; the second is better by
/// `gain`. On about 70 % of the items, the second condition copies the answer of the first.
fn draw(rng: &mut ChaCha8Rng, gain: f64) -> Vec<(bool, bool)> {
    let mut uniform = || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    (0..ITEMS)
        .map(|_| {
            let first = uniform() < 0.6;
            let second = match uniform() < 0.7 {
                true => first,
                false => uniform() < 0.6,
            };
            (first, second || uniform() < gain / 0.4)
        })
        .collect()
}

/// Returns the share of data sets in which mid-p is at most the nominal level.
fn rejected(gain: f64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let small = (0..DATA_SETS).filter(|_| McNemar::of(draw(&mut rng, gain)).mid_p <= NOMINAL);
    small.count() as f64 / DATA_SETS as f64
}

#[test]
fn equal_conditions_are_told_apart_no_more_often_than_the_level_says() {
    let size = rejected(0.0);
    assert!(size <= NOMINAL + two_errors(DATA_SETS), "{size}");
    // The test must also reject sometimes.
    assert!(size > NOMINAL / 2.0, "{size}");
}

#[test]
fn power_grows_with_the_difference() {
    let power = [0.0, 0.03, 0.06, 0.12].map(rejected);
    assert!(power.is_sorted_by(|a, b| a + 0.05 < *b), "{power:?}");
    assert!(power[3] > 0.9, "{power:?}");
}

#[test]
fn bootstrap_intervals_of_equal_conditions_cover_no_difference_as_often_as_they_say() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let sets = 400;
    let missed = (0..sets)
        .filter(|set| {
            let pairs = draw(&mut rng, 0.0);
            let side = |second: bool| -> Vec<(f64, f64)> {
                let answer = |(a, b): &(bool, bool)| if second { *b } else { *a };
                pairs
                    .iter()
                    .map(|pair| (f64::from(u8::from(answer(pair))), 1.0))
                    .collect()
            };
            let boot = Bootstrap::new(&[side(false), side(true)], 500, *set);
            let interval = boot.difference(0, 1).expect("an interval");
            interval.low > 0.0 || interval.high < 0.0
        })
        .count();
    let missed = missed as f64 / sets as f64;
    assert!(missed <= NOMINAL + two_errors(sets as usize), "{missed}");
    assert!(missed > NOMINAL / 4.0, "{missed}");
}
