//! Nested arithmetic: the value of every subtree of complete binary expression trees over `Z_m`.
//!
//! A tree of depth `d` is written in postfix order, `2^(d + 1) − 1` tokens: leaves are digits,
//! inner nodes are operators. Each pair of an operation and a level (the height of the node) has
//! its own token, so the token of an operator shows how many operands it closes. The target at an
//! operator is the value of the subtree that it closes; leaves have no target. Subtraction prevents
//! flattening a tree: `(a − b) − c ≠ a − (b − c)`. A row contains as many trees as fit; the rest is
//! padding.
//!
//! | ids | token |
//! |---|---|
//! | `0 .. m` | digits |
//! | `m + 3 (level − 1) + op` | operator `op` (0 add, 1 subtract, 2 multiply) at `level` 1 .. max |
//! | `m + 3 max` | padding |

use crate::batch::IGNORE;
use crate::seed::Dice;

const OPERATIONS: u32 = 3;

/// Trees over `Z_modulus` up to one depth, in rows of one length.
#[derive(Clone, Debug)]
pub(super) struct Arithmetic {
    pub(super) modulus: u32,
    pub(super) max_depth: usize,
    pub(super) seq: usize,
}

/// Returns the number of tokens of a complete tree of `depth`.
pub(crate) fn tree_tokens(depth: usize) -> usize {
    (1 << (depth + 1)) - 1
}

impl Arithmetic {
    pub(super) fn vocab_size(&self) -> usize {
        self.padding() as usize + 1
    }

    fn padding(&self) -> u32 {
        self.modulus + OPERATIONS * self.max_depth as u32
    }

    /// Returns `seq` pairs: as many trees of `depth` as fit, then padding.
    pub(super) fn row(&self, dice: &mut Dice, depth: usize) -> impl Iterator<Item = (u32, u32)> {
        let mut pairs = Vec::with_capacity(self.seq);
        for _ in 0..self.seq / tree_tokens(depth) {
            self.push_tree(dice, depth, &mut pairs);
        }
        pairs.resize(self.seq, (self.padding(), IGNORE));
        pairs.into_iter()
    }

    /// Appends a tree in postfix order and returns its value.
    fn push_tree(&self, dice: &mut Dice, depth: usize, pairs: &mut Vec<(u32, u32)>) -> u32 {
        if depth == 0 {
            let digit = dice.below(u64::from(self.modulus)) as u32;
            pairs.push((digit, IGNORE));
            return digit;
        }
        let left = self.push_tree(dice, depth - 1, pairs);
        let right = self.push_tree(dice, depth - 1, pairs);
        let operation = dice.below(u64::from(OPERATIONS)) as u32;
        let value = match operation {
            0 => left + right,
            1 => left + self.modulus - right,
            _ => left * right,
        } % self.modulus;
        let token = self.modulus + OPERATIONS * (depth as u32 - 1) + operation;
        pairs.push((token, value));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Arithmetic = Arithmetic {
        modulus: 7,
        max_depth: 3,
        seq: 32,
    };

    /// Evaluates a postfix row with a stack, using only the table of ids.
    fn evaluate(inputs: &[u32]) -> Vec<u32> {
        let mut stack: Vec<i64> = Vec::new();
        inputs
            .iter()
            .map(|&token| match token {
                0..7 => {
                    stack.push(i64::from(token));
                    IGNORE
                }
                7..16 => {
                    let b = stack.pop().expect("an operator has a right operand");
                    let a = stack.pop().expect("an operator has a left operand");
                    let value = [a + b, a - b, a * b][(token as usize - 7) % 3].rem_euclid(7);
                    stack.push(value);
                    value as u32
                }
                16 => IGNORE,
                _ => panic!("token {token} is not in the table"),
            })
            .collect()
    }

    #[test]
    fn targets_are_what_a_stack_machine_computes() {
        for depth in 1..=3 {
            for row in 0..50 {
                let mut dice = Dice::new(1, "test", &[row]);
                let (inputs, targets): (Vec<_>, Vec<_>) = TASK.row(&mut dice, depth).unzip();
                assert_eq!(targets, evaluate(&inputs));
                assert_eq!(inputs.len(), 32);
            }
        }
    }

    #[test]
    fn a_row_packs_as_many_trees_as_fit() {
        for (depth, trees) in [(1, 10), (2, 4), (3, 2)] {
            let mut dice = Dice::new(1, "test", &[]);
            let row = TASK.row(&mut dice, depth);
            let roots = 7 + 3 * (depth as u32 - 1);
            let closed = row
                .filter(|(token, _)| (roots..roots + 3).contains(token))
                .count();
            assert_eq!(closed, trees, "depth {depth}");
        }
        assert_eq!(TASK.vocab_size(), 7 + 9 + 1);
    }

    #[test]
    fn the_row_is_padded_behind_the_last_tree() {
        let row: Vec<_> = TASK.row(&mut Dice::new(1, "test", &[]), 3).collect();
        assert_eq!(row[30..], [(16, IGNORE); 2]);
        assert!(row[..30].iter().all(|(token, _)| *token < 16));
    }
}
