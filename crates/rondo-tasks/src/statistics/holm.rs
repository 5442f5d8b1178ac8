//! Adjusts the p values of several tests.

/// Returns p values adjusted for their number: if all those of at most α are reported as
/// differences, the probability of any false report is at most α.
///
/// S. Holm 1979: the k-th smallest of m is multiplied by m − k + 1, and none is smaller than the
/// one before.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut least: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        least = least.max(p[index] * (p.len() - rank) as f64).min(1.0);
        adjusted[index] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_is_multiplied_by_all_and_none_falls_below_the_one_before() {
        // 3 · 0.01, 2 · 0.03, and 1 · 0.04, which is raised to the one before.
        let found = holm(&[0.04, 0.01, 0.03]);
        let expected = [0.06, 0.03, 0.06];
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-12),
            "{found:?}"
        );
        assert!((holm(&[0.9, 0.8])[1] - 1.0).abs() < 1e-12);
    }
}
