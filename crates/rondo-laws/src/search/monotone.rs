//! Finds the nearest sequence that never rises, by the pool-adjacent-violators algorithm.

/// Moves `values` to the nearest sequence that never rises and stays in `low ..= high`. Each
/// squared distance is weighted by the value's mass in `masses`, which must be positive.
pub(super) fn project(values: &mut [f64], masses: &[f64], low: f64, high: f64) {
    // Each pool holds neighbouring values that are replaced by their mean: sum, mass and length.
    let mut pools: Vec<(f64, f64, usize)> = Vec::with_capacity(values.len());
    for (value, mass) in values.iter().zip(masses) {
        let mut pool = (value * mass, *mass, 1);
        while let Some(&(sum, mass, length)) = pools.last() {
            if sum / mass >= pool.0 / pool.1 {
                break;
            }
            pool = (pool.0 + sum, pool.1 + mass, pool.2 + length);
            pools.pop();
        }
        pools.push(pool);
    }
    let means = pools
        .iter()
        .flat_map(|(sum, mass, length)| std::iter::repeat_n(sum / mass, *length));
    for (value, mean) in values.iter_mut().zip(means) {
        *value = mean.clamp(low, high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], masses: &[f64], expected: &[f64]) {
        let mut projected = values.to_vec();
        project(&mut projected, masses, 0.0, 10.0);
        for (found, expected) in projected.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-12,
                "{values:?}: {projected:?}"
            );
        }
    }

    #[test]
    fn what_rises_shares_its_mean_and_what_falls_stays() {
        check(&[5.0, 3.0, 1.0], &[1.0; 3], &[5.0, 3.0, 1.0]);
        check(&[5.0, 1.0, 3.0], &[1.0; 3], &[5.0, 2.0, 2.0]);
        check(&[1.0, 5.0, 3.0], &[1.0; 3], &[3.0, 3.0, 3.0]);
        check(&[1.0, 5.0], &[3.0, 1.0], &[2.0, 2.0]);
        check(&[20.0, -3.0], &[1.0; 2], &[10.0, 0.0]);
    }
}
