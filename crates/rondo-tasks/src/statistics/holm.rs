//! Adjusts the p values of several tests for their number.

/// Returns the adjusted p values. If every test with an adjusted p value of at most α is reported
/// as a difference, the probability that any of these reports is false is at most α.
///
/// S. Holm 1979: the k-th smallest of m p values is multiplied by m − k + 1. The k-th result is the
/// largest of the first k products, but at most 1.
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
        // The products are 3 · 0.01, 2 · 0.03 and 1 · 0.04. The last result is 0.06, because the
        // product before the last is larger.
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
