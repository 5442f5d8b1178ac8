//! Random values: pure functions of (seed, draw, key).
//!
//! With u in [0, 1) from 53 bits of a hash, the value is `low + u·(high − low)`,
//! `low·(high/low)^u`, or the choice at index `⌊u·n⌋`. The power is computed as a product of square
//! roots. Square roots are rounded the same on every platform, whereas logarithms may differ in the
//! last bit.

use crate::file::{Distribution, Random};

/// The context of the hash, which separates it from other uses of BLAKE3.
const CONTEXT: &str = "rondo sweep, the draws of a random axis, version 1";
/// 2^−53.
const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;

/// Returns the value of an axis in draw number `draw`, counted from 0; `None` if a choice has no
/// values.
pub fn draw(seed: u64, draw: u32, axis: &Random) -> Option<toml::Value> {
    let u = unit(seed, draw, &axis.key);
    match &axis.distribution {
        Distribution::Uniform { low, high } => Some(number(low + u * (high - low), *low, *high)),
        Distribution::LogUniform { low, high } => {
            Some(number(low * power(high / low, u), *low, *high))
        }
        Distribution::Choice { values } => values.get((u * values.len() as f64) as usize).cloned(),
    }
}

/// Returns a number in [0, 1) with 53 random bits.
fn unit(seed: u64, draw: u32, key: &str) -> f64 {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&seed.to_le_bytes());
    hasher.update(&draw.to_le_bytes());
    hasher.update(key.as_bytes());
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    (u64::from_le_bytes(bytes) >> 11) as f64 * UNIT
}

/// Returns `base^exponent` for an exponent in [0, 1), with one square root for each of its binary
/// digits.
fn power(base: f64, exponent: f64) -> f64 {
    let (mut root, mut rest, mut product) = (base, exponent, 1.0);
    while rest > 0.0 {
        root = root.sqrt();
        rest *= 2.0;
        if rest >= 1.0 {
            product *= root;
            rest -= 1.0;
        }
    }
    product
}

/// Rounds to six digits, for readability, and clamps to the bounds.
fn number(x: f64, low: f64, high: f64) -> toml::Value {
    let rounded: f64 = format!("{x:.5e}").parse().unwrap_or(x);
    toml::Value::Float(rounded.max(low).min(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(key: &str, distribution: Distribution) -> Random {
        let key = key.to_owned();
        Random { key, distribution }
    }

    fn floats(axis: &Random, draws: u32) -> Vec<f64> {
        let value = |index| draw(7, index, axis).and_then(|value| value.as_float());
        (0..draws).filter_map(value).collect()
    }

    #[test]
    fn the_same_seed_draw_and_key_give_the_same_value_for_ever() {
        let (low, high) = (1e-4, 1e-2);
        let peak = axis("schedule.peak", Distribution::LogUniform { low, high });
        // Other values would change every sweep that was ever run.
        assert_eq!(
            floats(&peak, 3),
            [0.000_408_181, 0.001_623_85, 0.000_219_93]
        );
    }

    #[test]
    fn seed_draw_and_key_each_change_the_value() {
        let values = [
            unit(1, 1, "a"),
            unit(2, 1, "a"),
            unit(1, 2, "a"),
            unit(1, 1, "b"),
        ];
        for (index, value) in values.iter().enumerate() {
            assert!(
                values[..index]
                    .iter()
                    .all(|other| (other - value).abs() > 1e-9)
            );
        }
    }

    #[test]
    fn values_stay_within_their_bounds_and_fill_them_evenly() {
        let (low, high) = (1e-4, 1e-2);
        for (distribution, middle) in [
            (Distribution::Uniform { low, high }, 0.00505),
            (Distribution::LogUniform { low, high }, 1e-3),
        ] {
            let values = floats(&axis("a", distribution), 1000);
            assert_eq!(values.len(), 1000);
            assert!(values.iter().all(|x| (low..=high).contains(x)));
            let below = values.iter().filter(|&&x| x < middle).count();
            // The range is four standard deviations of a fair coin.
            assert!((437..=563).contains(&below), "{below}");
        }
    }

    #[test]
    fn every_choice_is_made() {
        let values = ["x", "y", "z"].map(toml::Value::from).to_vec();
        let axis = axis(
            "a",
            Distribution::Choice {
                values: values.clone(),
            },
        );
        let drawn: Vec<_> = (0..50).filter_map(|index| draw(0, index, &axis)).collect();
        assert_eq!(drawn.len(), 50);
        assert!(values.iter().all(|value| drawn.contains(value)));
    }

    #[test]
    fn a_power_by_roots_is_a_power() {
        for (base, exponent) in [(100.0, 0.5), (100.0, 0.75), (2.0, 0.3), (1e6, 0.999_999)] {
            let expected = f64::powf(base, exponent);
            assert!((power(base, exponent) / expected - 1.0).abs() < 1e-14);
        }
        assert!((power(5.0, 0.0) - 1.0).abs() < 1e-15);
    }
}
