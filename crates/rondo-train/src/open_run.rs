//! Opens a run for reading: its configuration, the weights of one checkpoint, and its data.

use std::path::Path;

use burn::tensor::{Int, Tensor, TensorData};
use rondo_data::{CorpusIdentity, DataError, Source, Tokenizer, read_tokens};
use rondo_metrics::Mode;
use rondo_model::config::ModelConfig;
use rondo_model::looped::LoopedTransformer;

use crate::assemble::open_source;
use crate::config::{ResolvedConfig, RunConfig};
use crate::device::Listed;
use crate::error::{Error, Result};
use crate::own_tokenizer::{OwnTokenizer, changes};
use crate::progress::RunProgress;
use crate::prompting::Prompting;
use crate::run_dir::{CheckpointChoice, RunDir};
use crate::weights::load_model;

/// A run that is open for reading.
pub struct OpenRun<'a> {
    /// The directory of the run.
    pub run_dir: RunDir,
    /// The configuration that the directory records.
    pub config: RunConfig,
    /// The configuration of the model.
    pub model_config: ModelConfig,
    /// The step of the checkpoint.
    pub step: u64,
    /// The corpora on which the weights were trained.
    seen: Vec<CorpusIdentity>,
    /// The model, without autodiff.
    pub model: LoopedTransformer,
    /// The device of the model.
    pub listed: &'a Listed,
}

impl<'a> OpenRun<'a> {
    /// Opens the run at `path` and loads the weights of the chosen checkpoint.
    ///
    /// # Errors
    ///
    /// When there is no run at `path`, or the checkpoint does not exist or is damaged.
    pub fn open(path: &Path, choice: CheckpointChoice, listed: &'a Listed) -> Result<Self> {
        let run_dir = RunDir::new(path);
        let config = run_dir.config()?;
        let checkpoint = run_dir.checkpoint(choice)?;
        let model_config = config.recorded_model()?;
        let model = load_model(&checkpoint, &model_config, &listed.device, listed.precision)?;
        Ok(Self {
            run_dir,
            config,
            model_config,
            step: checkpoint.step(),
            seen: RunProgress::read(&checkpoint)?.data,
            model,
            listed,
        })
    }

    /// Returns a view of a run that is being trained, with its current weights, without autodiff.
    pub(crate) fn of_training(
        run_dir: &RunDir,
        config: &ResolvedConfig,
        step: u64,
        model: LoopedTransformer,
        listed: &'a Listed,
    ) -> Self {
        Self {
            run_dir: run_dir.clone(),
            config: config.recorded().clone(),
            model_config: config.model.clone(),
            step,
            seen: Vec::new(),
            model,
            listed,
        }
    }

    /// Opens the run's own data. Text is encoded with the run's own tokenizer. If the data has
    /// changed since the weights were trained, calls `warn`.
    ///
    /// # Errors
    ///
    /// When the data cannot be opened, or was encoded with another tokenizer.
    pub fn data(&self, warn: &mut dyn FnMut(&str)) -> Result<Source> {
        let source = match OwnTokenizer::of_run(&self.run_dir, &self.seen)? {
            Some(own) => own.open(&self.config.data, "data: the text", Mode::Auto)?,
            None => open_source(&self.config, Mode::Auto)?,
        };
        if let Source::Text(text) = &source {
            let now = [("data".to_owned(), text.identity())];
            for (what, change) in changes(&self.seen, &now) {
                warn(&format!(
                    "{}: {what} has changed since step {}: {change}",
                    self.run_dir.path().display(),
                    self.step
                ));
            }
        }
        Ok(source)
    }

    /// Returns the run's tokenizer: the file in the run directory, or else the tokenizer of the
    /// corpus. `None` if the run has no text.
    ///
    /// # Errors
    ///
    /// When the tokenizer is damaged or has more tokens than the model.
    fn find_tokenizer(&self) -> Result<Option<Tokenizer>> {
        let data = &self.config.data;
        OwnTokenizer::of_run(&self.run_dir, &self.seen)?;
        let tokenizer = match self.run_dir.tokenizer()? {
            None if data.is_nothing() || data.is_task() => None,
            None => match open_source(&self.config, Mode::Auto)? {
                Source::Text(text) => Some(text.tokenizer().clone()),
                Source::Task(_) => None,
            },
            found => found,
        };
        let (tokens, rows) = (
            tokenizer.as_ref().map_or(0, Tokenizer::vocab_size),
            self.model_config.vocab_size,
        );
        if tokens > rows {
            return Err(Error::Data(DataError::Tokenizer {
                name: self.run_dir.path().display().to_string(),
                message: format!("has {tokens} tokens, the model's vocabulary only {rows}"),
            }));
        }
        Ok(tokenizer)
    }

    /// Returns the run's tokenizer, to show text next to token ids. If the tokenizer cannot be
    /// opened, calls `note` with the reason and returns `None`.
    pub fn tokenizer_beside_ids(&self, note: &mut dyn FnMut(&str)) -> Option<Tokenizer> {
        self.find_tokenizer().unwrap_or_else(|error| {
            note(&format!("no text beside the token ids: {error}"));
            None
        })
    }

    /// Returns the run's tokenizer. `wanted_by` is the flag that needs it.
    ///
    /// # Errors
    ///
    /// When the run has no tokenizer, or the tokenizer is damaged.
    pub fn tokenizer(&self, wanted_by: &str) -> Result<Tokenizer> {
        self.find_tokenizer()?.ok_or_else(|| {
            Error::Usage(format!(
                "{wanted_by}: {} has no tokenizer; give token ids with --tokens FILE",
                self.run_dir.path().display()
            ))
        })
    }

    /// Returns the token that ends a document, if the model was trained to attend within documents.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::tokenizer`].
    pub fn document_end(&self) -> Result<Option<u32>> {
        match self.config.data.document_mask() {
            true => {
                let tokenizer = self.tokenizer("data.document_mask")?;
                Ok(Some(tokenizer.end_of_text()))
            }
            false => Ok(None),
        }
    }

    /// Returns the rows of tokens in the file `tokens`. Without a file, returns one row with the
    /// text `prompt`.
    ///
    /// # Errors
    ///
    /// When the file is damaged or contains a token beyond the vocabulary, or a row does not fit
    /// into the model's context. Also when there is no tokenizer for the text, or the text has no
    /// tokens.
    pub fn rows(
        &self,
        tokens: Option<&Path>,
        prompt: Option<&str>,
        prompting: Prompting,
    ) -> Result<Vec<Vec<u32>>> {
        let (rows, source) = match (tokens, prompt) {
            (Some(path), _) => {
                let rows = read_tokens(path, self.model_config.vocab_size)?;
                (rows, path.display().to_string())
            }
            (None, text) => {
                let tokenizer = self.reader("--prompt", prompting)?;
                let row = tokenizer.encode_prompt(text.unwrap_or_default())?;
                (vec![row], "--prompt".to_owned())
            }
        };
        let refuse =
            |message: String| Err(DataError::Corpus(format!("{source}: {message}")).into());
        let context = self.model_config.context;
        match rows
            .iter()
            .find(|row| row.is_empty() || row.len() > context)
        {
            None => Ok(rows),
            Some(row) if row.is_empty() => refuse("holds no token".to_owned()),
            Some(row) => refuse(format!(
                "{} tokens do not fit the model's context of {context}",
                row.len()
            )),
        }
    }

    /// Returns the number of tokens in a batch of the run's own evaluations.
    pub fn batch_positions(&self) -> usize {
        let seq = self.config.text_seq().unwrap_or(self.model_config.context);
        self.config.eval_batch() * seq
    }

    /// Copies rows of equal length to the device.
    ///
    /// # Shapes
    ///
    /// Returns `[batch, seq]`.
    pub fn on_device(&self, rows: &[Vec<u32>]) -> Tensor<2, Int> {
        let ids: Vec<i32> = rows.iter().flatten().map(|id| *id as i32).collect();
        let shape = [rows.len(), rows.first().map_or(0, Vec::len)];
        Tensor::from_data(TensorData::new(ids, shape), &self.listed.device)
    }
}
