//! The tokenizer with which a run's weights were trained. Data for these weights must be encoded
//! with this tokenizer; other data is refused.

use std::path::{Path, PathBuf};

use rondo_data::{CorpusIdentity, DataConfig, DataError, Source, TextData};
use rondo_metrics::Mode;

use crate::assemble::open_data;
use crate::error::{Error, Result};
use crate::run_dir::{RunDir, TOKENIZER_FILE};

/// The tokenizer that belongs to a run.
#[derive(Clone, Debug)]
pub struct OwnTokenizer {
    /// The run directory.
    run: PathBuf,
    /// The path of `RUN/tokenizer.json`, if the file exists.
    file: Option<PathBuf>,
    /// The tokenizer's hash in the checkpoint. `None` in checkpoints of older versions.
    hash: Option<String>,
}

impl OwnTokenizer {
    /// Finds the tokenizer of the run in `run_dir`. `seen` are the corpora on which the weights
    /// were trained. `None` for tasks, for imports without a tokenizer and for runs of older
    /// versions.
    ///
    /// # Errors
    ///
    /// When `tokenizer.json` is damaged, or is not the tokenizer with which the weights were
    /// trained.
    pub fn of_run(run_dir: &RunDir, seen: &[CorpusIdentity]) -> Result<Option<Self>> {
        let file = run_dir.tokenizer_path();
        let hash = seen.first().map(|corpus| corpus.tokenizer_hash.clone());
        // The file is loaded only if there is a hash to compare. Without this rule, an import whose
        // tokenizer cannot encode would fail here.
        if let Some(expected) = &hash
            && let Some(tokenizer) = run_dir.tokenizer()?
        {
            let found = blake3::Hash::from_bytes(tokenizer.hash()).to_hex();
            if found.as_str() != expected {
                return Err(DataError::Tokenizer {
                    name: run_dir.path().join(TOKENIZER_FILE).display().to_string(),
                    message: format!(
                        "it is not the one that the weights were trained with (BLAKE3 {expected}); put that \
                         one back"
                    ),
                }
                .into());
            }
        }
        let is_known = file.is_some() || hash.is_some();
        Ok(is_known.then(|| Self {
            run: run_dir.path().to_owned(),
            file,
            hash,
        }))
    }

    /// Returns the tokenizer of the run in the directory `run`. Another rank has sent `file` and
    /// `hash`.
    pub(crate) fn received(run: &Path, file: Option<PathBuf>, hash: Option<String>) -> Self {
        Self {
            run: run.to_owned(),
            file,
            hash,
        }
    }

    /// Returns the file of the tokenizer, if it exists.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the hash of the tokenizer, if it is known.
    pub(crate) fn hash(&self) -> Option<&str> {
        self.hash.as_deref()
    }

    /// Opens data for the run. Text is encoded with the run's tokenizer. Messages call the data
    /// `what`.
    ///
    /// # Errors
    ///
    /// The errors of [`open_data`]. Also when the data was encoded with another tokenizer.
    pub fn open(&self, data: &DataConfig, what: &str, mode: Mode) -> Result<Source> {
        let source = open_data(data, self.file.as_deref(), mode)?;
        self.check(&source, data, what)?;
        Ok(source)
    }

    /// Returns an error for text that was encoded with another tokenizer. Tasks have no tokenizer.
    ///
    /// # Errors
    ///
    /// When the tokenizers differ. The message says how to change the configuration.
    pub fn check(&self, source: &Source, data: &DataConfig, what: &str) -> Result<()> {
        let Source::Text(text) = source else {
            return Ok(());
        };
        if self.has_encoded(text)? {
            return Ok(());
        }
        let file = self.run.join(TOKENIZER_FILE);
        let file = file.display();
        let cure = match (data, &self.file) {
            (_, None) => format!("which is gone: put {file} back"),
            (DataConfig::Prepared { path, .. }, _) => {
                format!("prepare {path} with `trainer prepare --tokenizer {file}`")
            }
            _ => format!("`tokenizer = {{ kind = \"file\", path = \"{file}\" }}`"),
        };
        Err(Error::Data(DataError::Corpus(format!(
            "{what} has other tokens than the run's; give it the run's tokenizer, {cure}"
        ))))
    }

    /// Returns whether the run's tokenizer has encoded the text.
    fn has_encoded(&self, text: &TextData) -> Result<bool> {
        if let Some(hash) = &self.hash {
            return Ok(*hash == text.identity().tokenizer_hash);
        }
        let Some(file) = &self.file else {
            return Ok(true);
        };
        let own = std::fs::read(file)
            .map_err(|error| anyhow::anyhow!("cannot read {}: {error}", file.display()))?;
        Ok(own == *text.tokenizer().file()?)
    }
}

/// Compares the corpora of a run with those in `seen`. Returns the name and a description of the
/// change for each corpus that has changed.
pub fn changes<'a>(
    seen: &'a [CorpusIdentity],
    now: &'a [(String, CorpusIdentity)],
) -> impl Iterator<Item = (&'a str, String)> {
    seen.iter().zip(now).filter_map(|(before, (what, now))| {
        let difference = before.difference(now)?;
        Some((what.as_str(), difference))
    })
}
