//! The rows for training and evaluation, from text or from a task.

use std::ops::Range;

use rondo_data::{Batch, CurriculumState, DataError, Source, bytes_per_target};

use crate::config::{ResolvedConfig, RunConfig};
use crate::distributed::Share;
use crate::error::{Error, Result};

/// The rows of a data source, in the sizes that a run uses.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    source: &'a Source,
    seed: u64,
    /// The number of rows in a micro-batch.
    batch: usize,
    /// The number of micro-batches in a step.
    accumulation: usize,
    /// The number of rows in a batch of an evaluation.
    val_batch: usize,
    /// The number of tokens in a row of text. The rows of a task have their own length.
    seq: usize,
}

impl<'a> Rows<'a> {
    /// Returns the rows of `source` for a run with `config`.
    pub fn new(source: &'a Source, config: &ResolvedConfig) -> Self {
        let train = &config.train;
        Self {
            source,
            seed: config.seed,
            batch: train.batch,
            accumulation: train.accumulation,
            val_batch: config.eval.batch,
            seq: train.seq,
        }
    }

    /// Returns the same rows, arranged so that each step has a single row.
    #[must_use]
    pub fn one_in_a_step(self) -> Self {
        Self {
            batch: 1,
            accumulation: 1,
            ..self
        }
    }

    /// Returns the initial state of a task's curriculum; `None` for text.
    pub fn first_difficulty(&self) -> Option<CurriculumState> {
        match self.source {
            Source::Text(_) => None,
            Source::Task(task) => Some(CurriculumState::start(task.curriculum())),
        }
    }

    /// Returns the number of tokens in a training row. Without a state of the curriculum, returns
    /// the number of tokens in the longest row.
    pub fn seq(&self, curriculum: Option<&CurriculumState>) -> usize {
        match (self.source, curriculum) {
            (Source::Text(_), _) => self.seq,
            (Source::Task(task), Some(state)) => task.seq(state.difficulty),
            (Source::Task(task), None) => task.seq(task.curriculum().max),
        }
    }

    /// Returns the micro-batches of step `step`, counted from 1. They depend only on seed, step and
    /// curriculum.
    ///
    /// # Errors
    ///
    /// When the text is too short for one row.
    pub fn micro_batches(
        &self,
        step: u64,
        curriculum: Option<&CurriculumState>,
    ) -> Result<Vec<Batch>, DataError> {
        let all = Share {
            first: 0,
            count: self.accumulation,
            total: self.accumulation,
        };
        self.some_micro_batches(step, all, curriculum)
    }

    /// Returns those micro-batches of step `step` that belong to a rank's `share`.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::micro_batches`].
    pub fn some_micro_batches(
        &self,
        step: u64,
        share: Share,
        curriculum: Option<&CurriculumState>,
    ) -> Result<Vec<Batch>, DataError> {
        let (seed, rows) = (self.seed, self.batch);
        let first = (step - 1) * (self.accumulation * rows) as u64;
        (share.first..share.first + share.count)
            .map(|i| {
                let first = first + (i * rows) as u64;
                match self.source {
                    Source::Text(text) => text.train_rows(seed, first, rows, self.seq),
                    Source::Task(task) => {
                        let difficulty =
                            curriculum.map_or(task.curriculum().max, |state| state.difficulty);
                        Ok(task.train_rows(seed, first, rows, difficulty))
                    }
                }
            })
            .collect()
    }

    /// Returns the batches of an evaluation with about `tokens` tokens. They are the same in every
    /// evaluation.
    ///
    /// # Errors
    ///
    /// When the validation text is too short for one row.
    pub fn val_batches(&self, tokens: usize) -> Result<Vec<Batch>, DataError> {
        let (rows, seq) = (self.val_batch, self.seq(None));
        match self.source {
            Source::Text(text) => text.val_batches(rows, seq, Some(tokens)),
            Source::Task(task) => Ok(task.val_batches(self.seed, rows, (tokens / seq).max(1))),
        }
    }

    /// Returns the name of each source in a mixture and the range of its evaluation batches. Empty
    /// for other data.
    ///
    /// # Errors
    ///
    /// The errors of [`Rows::val_batches`].
    pub fn val_sources(&self, tokens: usize) -> Result<Vec<(String, Range<usize>)>, DataError> {
        let Source::Text(text) = self.source else {
            return Ok(Vec::new());
        };
        let by_source = text.val_batches_by_source(self.val_batch, self.seq(None), Some(tokens))?;
        let mut begin = 0;
        let ranges = by_source.into_iter().map(|(name, batches)| {
            let range = begin..begin + batches.len();
            begin = range.end;
            (name.to_owned(), range)
        });
        Ok(ranges.filter(|(name, _)| !name.is_empty()).collect())
    }

    /// Returns the bytes of text per target of these batches. `None` for tasks.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn bytes_per_token(&self, batches: &[Batch]) -> Result<Option<f64>, DataError> {
        match self.source {
            Source::Text(text) => bytes_per_target(text.tokenizer(), batches),
            Source::Task(_) => Ok(None),
        }
    }
}

/// Returns the number of tokens in the longest row of `source` in a run with `config`.
///
/// # Errors
///
/// When `config` sets no length for the rows of a text.
pub(crate) fn longest_row(source: &Source, config: &RunConfig) -> Result<usize> {
    match source {
        Source::Task(task) => Ok(task.seq(task.curriculum().max)),
        Source::Text(_) => config.text_seq().ok_or_else(|| {
            Error::Usage("train.seq: missing; give the tokens in a sequence".to_owned())
        }),
    }
}
