//! Rows for training and evaluation, whatever they come from.

use rondo_data::{Batch, CurriculumState, Source, bytes_per_target};

use crate::config::RunConfig;

/// What the trainer asks of a [`Source`].
pub(crate) trait Rows {
    /// Returns the state in which a task's curriculum starts; none on text.
    fn first_difficulty(&self) -> Option<CurriculumState>;

    /// Returns the tokens in a training row.
    fn seq(&self, config: &RunConfig, curriculum: Option<&CurriculumState>) -> usize;

    /// Returns the tokens in the longest row there can be.
    fn longest(&self, config: &RunConfig) -> usize;

    /// Returns the micro-batches of a step, counted from 1: a pure function of seed and step.
    ///
    /// # Errors
    ///
    /// Where the text is too short for one row.
    fn micro_batches(
        &self,
        config: &RunConfig,
        step: u64,
        curriculum: Option<&CurriculumState>,
    ) -> Result<Vec<Batch>, rondo_data::DataError>;

    /// Returns the fixed batches of an evaluation over about `tokens` tokens.
    ///
    /// # Errors
    ///
    /// Where the validation text is too short for one row.
    fn val_batches(
        &self,
        config: &RunConfig,
        tokens: usize,
    ) -> Result<Vec<Batch>, rondo_data::DataError>;

    /// Returns the bytes of text that a target of these batches stands for; none on tasks.
    ///
    /// # Errors
    ///
    /// Where the tokenizer fails.
    fn bytes_per_token(&self, batches: &[Batch]) -> Result<Option<f64>, rondo_data::DataError>;
}

impl Rows for Source {
    fn first_difficulty(&self) -> Option<CurriculumState> {
        match self {
            Self::Text(_) => None,
            Self::Task(task) => Some(CurriculumState::start(task.curriculum())),
        }
    }

    fn seq(&self, config: &RunConfig, curriculum: Option<&CurriculumState>) -> usize {
        match (self, curriculum) {
            (Self::Text(_), _) => config.train.seq.unwrap_or(0),
            (Self::Task(task), Some(state)) => task.seq(state.difficulty),
            (Self::Task(task), None) => task.seq(task.curriculum().max),
        }
    }

    fn longest(&self, config: &RunConfig) -> usize {
        self.seq(config, None)
    }

    fn micro_batches(
        &self,
        config: &RunConfig,
        step: u64,
        curriculum: Option<&CurriculumState>,
    ) -> Result<Vec<Batch>, rondo_data::DataError> {
        let (seed, rows) = (config.run.seed, config.train.batch);
        let first = (step - 1) * (config.train.accumulation * rows) as u64;
        (0..config.train.accumulation)
            .map(|i| {
                let first = first + (i * rows) as u64;
                match self {
                    Self::Text(text) => text.train_rows(seed, first, rows, self.seq(config, None)),
                    Self::Task(task) => {
                        let difficulty =
                            curriculum.map_or(task.curriculum().max, |state| state.difficulty);
                        Ok(task.train_rows(seed, first, rows, difficulty))
                    }
                }
            })
            .collect()
    }

    fn val_batches(
        &self,
        config: &RunConfig,
        tokens: usize,
    ) -> Result<Vec<Batch>, rondo_data::DataError> {
        let rows = config.eval.batch.unwrap_or(config.train.batch);
        let seq = self.longest(config);
        match self {
            Self::Text(text) => text.val_batches(rows, seq, Some(tokens)),
            Self::Task(task) => Ok(task.val_batches(config.run.seed, rows, (tokens / seq).max(1))),
        }
    }

    fn bytes_per_token(&self, batches: &[Batch]) -> Result<Option<f64>, rondo_data::DataError> {
        match self {
            Self::Text(text) => bytes_per_target(text.tokenizer(), batches),
            Self::Task(_) => Ok(None),
        }
    }
}
