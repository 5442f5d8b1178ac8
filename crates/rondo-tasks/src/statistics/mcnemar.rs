//! McNemar's test with the mid-p value.

use serde::Serialize;

/// The numbers of items that two conditions answer differently, and the probability that chance
/// alone makes these numbers differ as much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct McNemar {
    /// The number of items that only the first condition answers right.
    pub only_first: u64,
    /// The number of items that only the second condition answers right.
    pub only_second: u64,
    /// The two-sided mid-p value.
    pub mid_p: f64,
}

impl McNemar {
    /// Compares the answers of two conditions item by item.
    ///
    /// If both conditions are equally good, each item that they answer differently is like the toss
    /// of a fair coin. With `n` such items, of which the first condition answers `b` right and the
    /// second `c`:
    ///
    /// ```text
    /// mid-p = 2 · (P(X < min(b, c)) + ½ P(X = min(b, c))),   X ~ Binomial(n, ½)
    /// ```
    ///
    /// M. Fagerland, S. Lydersen, P. Laake 2013, doi:10.1186/1471-2288-13-91. The rate of false
    /// positives of this test is nearly always at most the nominal level, and the test has more
    /// power than the exact test.
    pub fn of(answers: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let (mut only_first, mut only_second) = (0, 0);
        for pair in answers {
            match pair {
                (true, false) => only_first += 1,
                (false, true) => only_second += 1,
                _ => {}
            }
        }
        Self {
            only_first,
            only_second,
            mid_p: mid_p(only_first, only_second),
        }
    }
}

fn mid_p(b: u64, c: u64) -> f64 {
    let (n, least) = (b + c, b.min(c));
    // The loop computes ln C(n, k) for each k from its value for k − 1.
    let mut ln_choose = 0.0;
    let ln_half = -(n as f64) * std::f64::consts::LN_2;
    let mut below = 0.0;
    for k in 0..least {
        below += f64::exp(ln_choose + ln_half);
        ln_choose += ((n - k) as f64).ln() - ((k + 1) as f64).ln();
    }
    let at = f64::exp(ln_choose + ln_half);
    (2.0 * below + at).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_case_is_what_a_hand_finds() {
        // Of six items, one is on one side and five are on the other: 2 · (1/64 + ½ · 6/64) = 8/64.
        assert!((mid_p(1, 5) - 0.125).abs() < 1e-12);
        assert!((mid_p(5, 1) - 0.125).abs() < 1e-12);
        // Of five items, all are on one side: 2 · ½ · 1/32.
        assert!((mid_p(0, 5) - 1.0 / 32.0).abs() < 1e-12);
        assert!((mid_p(3, 3) - 1.0).abs() < 1e-12);
        assert!((mid_p(0, 0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn thousands_of_items_are_no_underflow() {
        // The result is close to the normal approximation: z = 200/√10000 = 2, so p = 0.0455.
        let p = mid_p(4_900, 5_100);
        assert!((p - 0.0455).abs() < 1e-4, "{p}");
    }

    #[test]
    fn items_that_both_answer_alike_do_not_count() {
        let answers = [(true, true), (false, false), (true, false), (true, false)];
        let found = McNemar::of(answers);
        assert_eq!((found.only_first, found.only_second), (2, 0));
        assert!((found.mid_p - 0.25).abs() < 1e-12);
    }
}
