//! The tokenizer that a run's weights were trained with: whatever meets those weights later is encoded by it, or
//! refused.

use std::path::{Path, PathBuf};

use rondo_data::{CorpusIdentity, DataConfig, DataError, Source, TextData};
use rondo_metrics::Mode;

use crate::assemble::open_data;
use crate::error::{Error, Result};
use crate::run_dir::{RunDir, TOKENIZER_FILE};

/// A run's own tokenizer.
#[derive(Clone, Debug)]
pub struct OwnTokenizer {
    /// The run directory.
    run: PathBuf,
    /// `RUN/tokenizer.json`, where it is there.
    file: Option<PathBuf>,
    /// Its hash as the checkpoint has it; none in checkpoints of older versions.
    hash: Option<String>,
}

impl OwnTokenizer {
    /// Finds the tokenizer of a run whose checkpoint has seen the corpora `seen`; none on tasks, in imports without one and
    /// in runs of older versions.
    ///
    /// # Errors
    ///
    /// Where `tokenizer.json` is damaged, or not the one that the weights were trained with.
    pub fn of_run(run_dir: &RunDir, seen: &[CorpusIdentity]) -> Result<Option<Self>> {
        let file = run_dir.tokenizer_path();
        let hash = seen.first().map(|corpus| corpus.tokenizer_hash.clone());
        // Without a hash there is nothing to compare: an import may have a tokenizer that cannot encode.
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

    /// Names the tokenizer of the run at `run` whose file has come to `file`.
    pub(crate) fn received(run: &Path, file: Option<PathBuf>, hash: Option<String>) -> Self {
        Self {
            run: run.to_owned(),
            file,
            hash,
        }
    }

    /// Returns the file of the tokenizer, where it is there.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the hash of the tokenizer, where it is known.
    pub(crate) fn hash(&self) -> Option<&str> {
        self.hash.as_deref()
    }

    /// Opens data for the run, text encoded with its tokenizer; `what` is the subject of messages.
    ///
    /// # Errors
    ///
    /// As [`open_data`], and where the data is encoded by another tokenizer.
    pub fn open(&self, data: &DataConfig, what: &str, mode: Mode) -> Result<Source> {
        let source = open_data(data, self.file.as_deref(), mode)?;
        self.check(&source, data, what)?;
        Ok(source)
    }

    /// Refuses text that is encoded by another tokenizer; a task has none.
    ///
    /// # Errors
    ///
    /// With what the configuration has to say.
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

    /// Returns whether the tokens of a text are the run's.
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

/// Says how the corpora of a run have changed, each with its name in messages.
pub fn changes<'a>(
    seen: &'a [CorpusIdentity],
    now: &'a [(String, CorpusIdentity)],
) -> impl Iterator<Item = (&'a str, String)> {
    seen.iter().zip(now).filter_map(|(before, (what, now))| {
        let difference = before.difference(now)?;
        Some((what.as_str(), difference))
    })
}
