//! One enum over all sources that a run can train on.

use std::path::Path;

use crate::cache::{no_corpus, open_or_prepare, open_with_tokenizer};
use crate::config::DataConfig;
use crate::error::DataError;
use crate::prepare::Tell;
use crate::tasks::Task;
use crate::text::TextData;

/// An opened source of batches.
#[derive(Debug)]
pub enum Source {
    /// Tokenized text.
    Text(Box<TextData>),
    /// A synthetic task.
    Task(Task),
}

impl Source {
    /// Opens the source that the configuration names; prepares text that is not in the cache.
    ///
    /// # Errors
    ///
    /// When the configuration violates a rule, or the corpus, its tokenizer or its shards are
    /// unusable.
    pub fn open(config: &DataConfig, progress: Tell<'_>) -> Result<Self, DataError> {
        Self::open_text_by(config, &mut |config| open_or_prepare(config, progress))
    }

    /// Opens the source that the configuration names. If the configuration trains a tokenizer or
    /// reads it from a file, the text is encoded with the tokenizer of the file `tokenizer`
    /// instead. Text that already consists of bytes or tokens is opened as it is; the caller
    /// compares its tokenizer.
    ///
    /// # Errors
    ///
    /// The errors of [`Source::open`].
    pub fn open_with_tokenizer(
        config: &DataConfig,
        tokenizer: &Path,
        progress: Tell<'_>,
    ) -> Result<Self, DataError> {
        Self::open_text_by(config, &mut |config| {
            open_with_tokenizer(config, tokenizer, progress)
        })
    }

    fn open_text_by(
        config: &DataConfig,
        open: &mut dyn FnMut(&DataConfig) -> Result<TextData, DataError>,
    ) -> Result<Self, DataError> {
        if let Some(violations) = config.violations() {
            return Err(DataError::Config(violations));
        }
        match config {
            DataConfig::Text { .. }
            | DataConfig::Prepared { .. }
            | DataConfig::Tokens { .. }
            | DataConfig::Mixture { .. } => {
                let text = open(config)?;
                let text = match config.document_mask() {
                    true => text.within_documents()?,
                    false => text,
                };
                Ok(Self::Text(Box::new(text)))
            }
            DataConfig::Nothing {} => Err(no_corpus()),
            DataConfig::WordProblem { group, curriculum } => {
                Ok(Self::Task(Task::word_problem(*group, curriculum.clone())))
            }
            DataConfig::Arithmetic {
                modulus,
                seq,
                curriculum,
            } => Ok(Self::Task(Task::arithmetic(
                *modulus,
                *seq,
                curriculum.clone(),
            ))),
        }
    }

    /// Returns the vocabulary size that a model needs.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::Text(text) => text.vocab_size(),
            Self::Task(task) => task.vocab_size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::{Curriculum, Group};

    #[test]
    fn a_task_opens_without_any_file() {
        let config = DataConfig::WordProblem {
            group: Group::Cyclic { n: 5 },
            curriculum: Curriculum::new(1, 1, 2),
        };
        let source = Source::open(&config, &mut |_| ControlFlow::Continue(()))
            .expect("a task needs nothing");
        assert_eq!(source.vocab_size(), 5);
    }

    #[test]
    fn no_corpus_cannot_be_opened() {
        let error = Source::open(&DataConfig::Nothing {}, &mut |_| ControlFlow::Continue(()))
            .expect_err("nothing");
        assert!(error.to_string().contains("names no corpus"), "{error}");
    }

    #[test]
    fn a_broken_configuration_is_refused_before_anything_is_built() {
        let config = DataConfig::Arithmetic {
            modulus: 0,
            seq: 0,
            curriculum: Curriculum::new(1, 1, usize::MAX),
        };
        let error = Source::open(&config, &mut |_| ControlFlow::Continue(()))
            .expect_err("three rules are broken");
        let message = error.to_string();
        for key in ["modulus", "curriculum.max", "seq"] {
            assert!(message.contains(key), "{message}");
        }
    }
}
