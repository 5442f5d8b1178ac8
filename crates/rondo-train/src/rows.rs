//! Rows for training and evaluation, from any kind of source.

use std::ops::Range;

use rondo_data::{Batch, CurriculumState, DataError, Source, bytes_per_target};

use crate::config::{ResolvedConfig, RunConfig};
use crate::distributed::Share;
use crate::error::{Error, Result};

/// The rows of a source, as the configuration of a run uses them.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    source: &'a Source,
    seed: u64,
    /// Rows in a micro-batch.
    batch: usize,
    /// Micro-batches in a step.
    accumulation: usize,
    /// Rows in a batch of an evaluation.
    val_batch: usize,
    /// Tokens in a row of text; a task has its own length.
    seq: usize,
}

impl<'a> Rows<'a> {
    /// Returns the rows of `source` for runs of `config`.
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

    /// Returns the rows for steps of one row each.
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

    /// Returns the tokens in a training row, or in the longest one if no state of a curriculum is
    /// given.
    pub fn seq(&self, curriculum: Option<&CurriculumState>) -> usize {
        match (self.source, curriculum) {
            (Source::Text(_), _) => self.seq,
            (Source::Task(task), Some(state)) => task.seq(state.difficulty),
            (Source::Task(task), None) => task.seq(task.curriculum().max),
        }
    }

    /// Returns the micro-batches of a step, counted from 1: a pure function of seed and step.
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

    /// Returns the micro-batches of a step that are in a rank's `share`.
    ///
    /// # Errors
    ///
    /// As [`Self::micro_batches`].
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

    /// Returns the fixed batches of an evaluation over about `tokens` tokens.
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

    /// Returns the range of evaluation batches of each source of a mixture; empty for other data.
    ///
    /// # Errors
    ///
    /// As [`Rows::val_batches`].
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

    /// Returns the bytes of text per target of these batches; `None` for tasks.
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

/// Returns the tokens in the longest row of a source under a configuration.
///
/// # Errors
///
/// When the rows of a text have no length.
pub(crate) fn longest_row(source: &Source, config: &RunConfig) -> Result<usize> {
    match source {
        Source::Task(task) => Ok(task.seq(task.curriculum().max)),
        Source::Text(_) => config.text_seq().ok_or_else(|| {
            Error::Usage("train.seq: missing; give the tokens in a sequence".to_owned())
        }),
    }
}
