//! The word problem of a finite group.
//!
//! A row is a word `x_1 … x_L` of letters drawn uniformly from the group. The target at position
//! `t` is the product `x_1 · … · x_t`, and every position is supervised. In a non-commutative group
//! counting is no shortcut: the position up to which answers are right shows how often the core was
//! applied.

use super::group::{Group, GroupTable};
use crate::seed::Dice;

/// Words over one group.
#[derive(Clone, Debug)]
pub(super) struct WordProblem {
    table: GroupTable,
}

impl WordProblem {
    pub(super) fn new(group: Group) -> Self {
        Self {
            table: group.table(),
        }
    }

    pub(super) fn vocab_size(&self) -> usize {
        self.table.order()
    }

    /// Returns a word of `length` letters with its running products.
    pub(super) fn row(&self, dice: &mut Dice, length: usize) -> impl Iterator<Item = (u32, u32)> {
        let order = self.table.order() as u64;
        let mut product = 0;
        (0..length).map(move |_| {
            let letter = dice.below(order) as u32;
            product = self.table.product(product, letter);
            (letter, product)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_problem_of_z5_is_the_running_sum() {
        let task = WordProblem::new(Group::Cyclic { n: 5 });
        let mut sum = 0;
        for (letter, target) in task.row(&mut Dice::new(1, "test", &[]), 50) {
            sum = (sum + letter) % 5;
            assert_eq!(target, sum);
        }
    }

    #[test]
    fn a_prefix_of_a_longer_word_is_the_shorter_word() {
        let task = WordProblem::new(Group::Symmetric { n: 3 });
        let long: Vec<_> = task.row(&mut Dice::new(1, "test", &[9]), 20).collect();
        let short: Vec<_> = task.row(&mut Dice::new(1, "test", &[9]), 7).collect();
        assert_eq!(long[..7], short);
    }
}
