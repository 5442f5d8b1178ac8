//! Synthetic tasks whose difficulty is depth; rows are generated from the seed and never stored.

mod arithmetic;
pub mod curriculum;
pub mod group;
mod word_problem;

pub(crate) use arithmetic::tree_tokens;

use arithmetic::Arithmetic;
use curriculum::Curriculum;
use group::Group;
use word_problem::WordProblem;

use crate::batch::Batch;
use crate::seed::Dice;

/// Largest length of a word and of an arithmetic row, in tokens.
pub(crate) const MAX_SEQ: usize = 1 << 16;

/// The largest depth of a tree whose tokens fit in `MAX_SEQ`: `2^(15 + 1) − 1`.
pub(crate) const MAX_TREE_DEPTH: usize = 15;

#[derive(Clone, Debug)]
enum Kind {
    WordProblem(WordProblem),
    Arithmetic(Arithmetic),
}

/// A synthetic task with its curriculum.
///
/// Every row is a pure function of (seed, training or validation, row index, difficulty).
#[derive(Clone, Debug)]
pub struct Task {
    kind: Kind,
    curriculum: Curriculum,
}

impl Task {
    pub(crate) fn word_problem(group: Group, curriculum: Curriculum) -> Self {
        Self {
            kind: Kind::WordProblem(WordProblem::new(group)),
            curriculum,
        }
    }

    pub(crate) fn arithmetic(modulus: u32, seq: usize, curriculum: Curriculum) -> Self {
        let max_depth = curriculum.max;
        Self {
            kind: Kind::Arithmetic(Arithmetic {
                modulus,
                max_depth,
                seq,
            }),
            curriculum,
        }
    }

    /// Returns the vocabulary size; every target is one of its tokens.
    pub fn vocab_size(&self) -> usize {
        match &self.kind {
            Kind::WordProblem(task) => task.vocab_size(),
            Kind::Arithmetic(task) => task.vocab_size(),
        }
    }

    /// Returns the curriculum of the run.
    pub fn curriculum(&self) -> &Curriculum {
        &self.curriculum
    }

    /// Returns the number of positions in a row: the difficulty itself for words, constant for
    /// arithmetic.
    pub fn seq(&self, difficulty: usize) -> usize {
        match &self.kind {
            Kind::WordProblem(_) => self.within_bounds(difficulty),
            Kind::Arithmetic(task) => task.seq,
        }
    }

    /// Returns training rows `first_row .. first_row + rows`.
    ///
    /// A `difficulty` outside `1..=curriculum.max` counts as the nearer bound.
    pub fn train_rows(&self, seed: u64, first_row: u64, rows: usize, difficulty: usize) -> Batch {
        self.rows(seed, "task-train", first_row, rows, difficulty)
    }

    /// Returns `rows_total` rows of the largest difficulty in batches of `batch`; the last batch
    /// may be smaller. Validation rows and training rows come from different random streams.
    pub fn val_batches(&self, seed: u64, batch: usize, rows_total: usize) -> Vec<Batch> {
        (0..rows_total)
            .step_by(batch.max(1))
            .map(|first| {
                let rows = batch.max(1).min(rows_total - first);
                self.rows(seed, "task-val", first as u64, rows, self.curriculum.max)
            })
            .collect()
    }

    fn rows(
        &self,
        seed: u64,
        stream: &str,
        first_row: u64,
        rows: usize,
        difficulty: usize,
    ) -> Batch {
        let difficulty = self.within_bounds(difficulty);
        let mut batch = Batch::with_capacity(rows, self.seq(difficulty));
        for row in (first_row..).take(rows) {
            let mut dice = Dice::new(seed, stream, &[row, difficulty as u64]);
            match &self.kind {
                Kind::WordProblem(task) => batch.push_pairs(task.row(&mut dice, difficulty)),
                Kind::Arithmetic(task) => batch.push_pairs(task.row(&mut dice, difficulty)),
            }
        }
        batch
    }

    fn within_bounds(&self, difficulty: usize) -> usize {
        difficulty.clamp(1, self.curriculum.max.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks() -> [Task; 2] {
        [
            Task::word_problem(Group::Symmetric { n: 3 }, Curriculum::new(4, 4, 16)),
            Task::arithmetic(5, 64, Curriculum::new(1, 1, 4)),
        ]
    }

    #[test]
    fn rows_depend_on_their_index_alone_not_on_where_a_batch_begins() {
        for task in tasks() {
            let whole = task.train_rows(9, 10, 6, 3);
            let second_half = task.train_rows(9, 13, 3, 3);
            for row in 0..3 {
                assert_eq!(whole.input_row(row + 3), second_half.input_row(row));
                assert_eq!(whole.target_row(row + 3), second_half.target_row(row));
            }
        }
    }

    #[test]
    fn seed_stream_and_index_change_the_rows() {
        for task in tasks() {
            let max = task.curriculum().max;
            let rows = task.train_rows(1, 0, 4, max);
            assert_ne!(rows, task.train_rows(2, 0, 4, max));
            assert_ne!(rows, task.train_rows(1, 4, 4, max));
            assert_ne!(rows, task.val_batches(1, 4, 4)[0]);
        }
    }

    #[test]
    fn validation_rows_do_not_depend_on_the_batch_size() {
        for task in tasks() {
            let batches = task.val_batches(1, 3, 8);
            let sizes: Vec<usize> = batches.iter().map(|batch| batch.batch).collect();
            assert_eq!(sizes, [3, 3, 2]);
            let inputs: Vec<u32> = batches.into_iter().flat_map(|batch| batch.inputs).collect();
            assert_eq!(inputs, task.val_batches(1, 8, 8)[0].inputs);
        }
    }

    #[test]
    fn every_token_and_target_lies_in_the_vocabulary() {
        for task in tasks() {
            for difficulty in 0..20 {
                let batch = task.train_rows(1, 0, 16, difficulty);
                let vocab = task.vocab_size() as u32;
                assert!(batch.inputs.iter().all(|&token| token < vocab));
                let mut targets = batch.targets.iter();
                assert!(targets.all(|&t| t < vocab || t == crate::IGNORE));
                assert_eq!(batch.seq, task.seq(difficulty));
            }
        }
    }
}
