//! The confidence interval of a share.

use super::{Interval, QUANTILE};

/// Returns Wilson's score interval for `hits` of `count` items; `None` if `count` is 0.
///
/// ```text
/// (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n),   p = hits/n, z = 1.96
/// ```
///
/// E. B. Wilson 1927, doi:10.1080/01621459.1927.10502953. The interval stays between 0 and 1, and
/// for shares of 0 and 1 it still has a positive width.
pub fn wilson(hits: usize, count: usize) -> Option<Interval> {
    if count == 0 {
        return None;
    }
    let (n, z) = (count as f64, QUANTILE);
    let p = hits as f64 / n;
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + z * z / n;
    Some(Interval {
        low: ((middle - half) / whole).max(0.0),
        high: ((middle + half) / whole).min(1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_hundred_lies_between_two_fifths_and_three_fifths() {
        let found = wilson(50, 100).expect("a share");
        assert!(
            (found.low - 0.403_83).abs() < 1e-5 && (found.high - 0.596_17).abs() < 1e-5,
            "{found:?}"
        );
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn none_of_ten_has_a_width() {
        // The upper end is z²/n / (1 + z²/n) = 0.38415 / 1.38415.
        let found = wilson(0, 10).expect("a share");
        assert!(
            found.low.abs() < 1e-12 && (found.high - 0.277_53).abs() < 1e-5,
            "{found:?}"
        );
    }
}
