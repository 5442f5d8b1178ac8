//! The binary tree of a pairwise sum.
//!
//! ```text
//! 1 value    a
//! 4 values   (a + b) + (c + d)
//! 7 values   ((a + b) + (c + d)) + ((e + f) + g)
//! ```
//!
//! Two sums over equally many values are added as soon as both exist. At the end the remaining sums
//! are added from the right. If every group of `2^k` consecutive values is summed first, the tree
//! over the groups stays the same: this is how ranks share a sum without changing its bits. The
//! rounding error grows with the logarithm of the number of values; in a running sum it grows with
//! the number itself (Higham 1993, "The accuracy of floating point summation", section 3).

/// A pairwise sum of values that come one after another. It holds at most one partial sum for each
/// power of two.
#[derive(Debug)]
pub struct PairwiseSum<T> {
    /// Partial sums over `2^level` values, each with its level. The sum over the most values comes
    /// first.
    partial: Vec<(u32, T)>,
}

impl<T> PairwiseSum<T> {
    /// Creates an empty sum.
    pub fn new() -> PairwiseSum<T> {
        PairwiseSum {
            partial: Vec::new(),
        }
    }

    /// Adds the next value. `add` returns the sum of an earlier and a later value.
    pub fn push(&mut self, value: T, mut add: impl FnMut(T, T) -> T) {
        let (mut level, mut value) = (0, value);
        while let Some((_, earlier)) = self.partial.pop_if(|(other, _)| *other == level) {
            value = add(earlier, value);
            level += 1;
        }
        self.partial.push((level, value));
    }

    /// Returns the sum, or `None` if no value was pushed.
    pub fn finish(mut self, mut add: impl FnMut(T, T) -> T) -> Option<T> {
        let (_, mut sum) = self.partial.pop()?;
        while let Some((_, earlier)) = self.partial.pop() {
            sum = add(earlier, sum);
        }
        Some(sum)
    }
}

impl<T> Default for PairwiseSum<T> {
    fn default() -> Self {
        PairwiseSum::new()
    }
}

/// Returns the additions of the tree over `count` values, in their order. A pair `(a, b)` means:
/// add value `b` to value `a`. At the end value 0 holds the sum.
pub fn additions(count: usize) -> Vec<(usize, usize)> {
    let mut additions = Vec::with_capacity(count.saturating_sub(1));
    let mut sum = PairwiseSum::new();
    for value in 0..count {
        sum.push(value, |earlier, later| {
            additions.push((earlier, later));
            earlier
        });
    }
    sum.finish(|earlier, later| {
        additions.push((earlier, later));
        earlier
    });
    additions
}

/// Returns the maximum number of values that a sum of `count` values holds at one time, including
/// the value to add next: `1 + log2(count)`, rounded down.
pub fn live(count: usize) -> usize {
    match count {
        0 | 1 => count,
        _ => 1 + count.ilog2() as usize,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails must fail the test")]

    use super::*;

    fn tree(count: u32) -> String {
        let add = |a: String, b: String| format!("({a}{b})");
        let mut sum = PairwiseSum::new();
        (0..count).for_each(|value| sum.push(value.to_string(), add));
        sum.finish(add).unwrap_or_default()
    }

    #[test]
    fn values_are_added_in_pairs() {
        let trees: Vec<String> = (0..8).map(tree).collect();
        let expected = [
            "",
            "0",
            "(01)",
            "((01)2)",
            "((01)(23))",
            "(((01)(23))4)",
            "(((01)(23))(45))",
            "(((01)(23))((45)6))",
        ];
        assert_eq!(trees, expected);
    }

    #[test]
    fn groups_of_a_power_of_two_do_not_change_the_tree() {
        let add = |a: String, b: String| format!("({a}{b})");
        for (ranks, each) in [(2, 1), (2, 4), (3, 4), (4, 2), (5, 2), (7, 8)] {
            let mut world = PairwiseSum::new();
            for rank in 0..ranks {
                let mut mine = PairwiseSum::new();
                (0..each).for_each(|number| mine.push((rank * each + number).to_string(), add));
                world.push(mine.finish(add).unwrap(), add);
            }
            assert_eq!(
                world.finish(add).unwrap(),
                tree(ranks * each),
                "{ranks} ranks with {each}"
            );
        }
    }

    #[test]
    fn three_values_in_a_group_give_another_tree() {
        let grouped = "(((01)2)((34)5))";
        assert_ne!(grouped, tree(6));
    }

    #[test]
    fn the_additions_are_the_tree() {
        assert_eq!(additions(1), []);
        assert_eq!(additions(4), [(0, 1), (2, 3), (0, 2)]);
        assert_eq!(
            additions(7),
            [(0, 1), (2, 3), (0, 2), (4, 5), (4, 6), (0, 4)]
        );
    }

    #[test]
    fn few_values_are_held_at_a_time() {
        for count in 1..70 {
            let mut most = 0;
            let mut sum = PairwiseSum::new();
            for value in 0..count {
                most = most.max(sum.partial.len() + 1);
                sum.push(value, |a, b| a + b);
            }
            assert_eq!(most, live(count), "of {count}");
        }
    }
}
