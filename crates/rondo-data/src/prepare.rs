//! From a corpus to a prepared folder.
//!
//! The corpus is read once: its documents are hashed and encoded in reading order, and their tokens
//! are then divided into training and validation, because the split depends on the hashes of all
//! documents. If a tokenizer is trained, the split must be known before; then the corpus is read
//! once more for its documents and once more for a sample of the training part. Memory does not
//! grow with the corpus: documents are listed in a `ledger`, and tokens are stored in a file until
//! they are divided.
//!
//! The folder is written beside its target and renamed, so that it is either whole or absent. If
//! the process ends early, its files stay, and the next call with the same corpus and the same
//! settings resumes from them.

mod encoding;
mod progress;
mod single;
mod state;
mod survey;
mod writing;

use std::io;
use std::path::{Path, PathBuf};

use rondo_files::{FileSystem, StagedFolder, atomic_write};

use self::encoding::Encoding;
pub use self::progress::{PreparePhase, PrepareProgress, Tell};
use self::state::State;
use self::writing::{Written, write_parts};
use crate::bpe;
use crate::cache;
use crate::config::{TokenizerConfig, val_fraction_violation};
use crate::corpus::{Corpus, CorpusSource};
use crate::dependencies;
use crate::error::DataError;
use crate::notices::{Notice, Notices};
use crate::prepared::{CorpusInfo, INFO_FILE, TOKENIZER_FILE};
use crate::split::Split;
use crate::tokenizer::{CONFIG_FILE, Tokenizer};

/// A tokenizer is trained on this many bytes of text for each token of its vocabulary, spread
/// evenly over the training part; more would change few merges and cost time.
const SAMPLE_BYTES_PER_TOKEN: usize = 1 << 10;

/// The maximum number of tokens in a file by default: 512 MiB of two-byte tokens.
pub const SHARD_TOKENS: u64 = 1 << 28;

/// What to prepare, and how.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// The corpus.
    pub sources: &'a CorpusSource,
    /// How text becomes tokens.
    pub tokenizer: &'a TokenizerConfig,
    /// Share of the corpus, in bytes, that is kept for validation.
    pub val_fraction: f64,
    /// Reads no more than this many bytes of text.
    pub max_bytes: Option<u64>,
    /// The maximum number of tokens in a file; further tokens go to another file.
    pub shard_tokens: u64,
}

impl Recipe<'_> {
    fn check(&self) -> Result<(), DataError> {
        let mut violations = Vec::new();
        let report = &mut |key: &str, message| violations.push(format!("{key}: {message}"));
        self.tokenizer.validate(report);
        violations.extend(
            val_fraction_violation(self.val_fraction).map(|m| format!("val_fraction: {m}")),
        );
        if self.shard_tokens == 0 {
            violations.push("shard_tokens: must be at least 1, is 0".to_owned());
        }
        match violations.is_empty() {
            true => Ok(()),
            false => Err(DataError::Config(violations.join("; "))),
        }
    }

    /// Returns the key of a staged folder. Another corpus and other settings have another key.
    fn key(&self) -> Result<String, DataError> {
        let key = cache::key(
            self.sources,
            self.tokenizer,
            self.val_fraction,
            self.max_bytes,
        )?;
        Ok(format!("{key} {}", self.shard_tokens))
    }
}

/// Writes a corpus as a folder of token files, which must not exist yet.
///
/// The tokenizer is trained on the training part only, on a sample of 1 KiB for each token of the
/// vocabulary (4 MiB for 4,096 tokens). Two runs over the same corpus write the same bytes, whether
/// or not they were interrupted.
///
/// # Errors
///
/// When the corpus cannot be read or split, when the tokenizer cannot be loaded or trained, when
/// the folder exists or cannot be written; [`DataError::Interrupted`] where `progress` stops it.
pub fn prepare(
    recipe: &Recipe<'_>,
    out: &Path,
    progress: Tell<'_>,
) -> Result<CorpusInfo, DataError> {
    recipe.check()?;
    if out.exists() {
        return Err(DataError::Corpus(format!(
            "{} exists already; remove it or choose another folder",
            out.display()
        )));
    }
    if out.file_name().is_none() {
        return Err(DataError::Corpus(format!(
            "`{}` does not name a folder",
            out.display()
        )));
    }
    let corpus = Corpus::open(recipe.sources)?;
    let key = recipe.key()?;
    // If another process prepares the same folder, this process uses a staged folder of its own.
    // The first process to finish determines the result.
    let folder = match StagedFolder::resume(&FileSystem, out)? {
        Some(folder) => folder,
        None => StagedFolder::create(&FileSystem, out)?,
    };
    let mut preparation = Preparation {
        recipe,
        corpus,
        state: State::of(folder.path(), &key)?,
        folder: folder.path().to_owned(),
        progress,
    };
    let written = preparation.run();
    match written {
        Ok(info) => {
            state::remove_work(folder.path())?;
            folder.commit()?;
            Ok(info)
        }
        Err(error) => {
            // An unreadable file or a full disk can be fixed before a resume. Any other error would
            // occur again.
            let can_go_on = matches!(error, DataError::Interrupted | DataError::Io { .. });
            if can_go_on && preparation.state.has_begun() {
                folder.keep();
            }
            Err(error)
        }
    }
}

/// The split, once it is known.
struct Known {
    split: Split,
    /// The byte at which a single document is cut.
    cut: Option<u64>,
}

struct Preparation<'a> {
    recipe: &'a Recipe<'a>,
    corpus: Corpus,
    state: State,
    folder: PathBuf,
    progress: Tell<'a>,
}

impl Preparation<'_> {
    fn run(&mut self) -> Result<CorpusInfo, DataError> {
        let is_trained = matches!(self.recipe.tokenizer, TokenizerConfig::Bpe { .. });
        if (is_trained || self.corpus.is_one_text()) && self.state.surveyed.is_none() {
            let surveyed = survey::survey(
                &self.corpus,
                self.recipe.max_bytes,
                &self.folder,
                self.progress,
            )?;
            self.state.surveyed = Some(surveyed);
        }
        let split = match &self.state.surveyed {
            Some(notices) => Some(self.split(&state::survey_ledger(&self.folder), notices)?),
            None => None,
        };
        let mut known = match split {
            Some(split) => Some(self.known(split)?),
            None => None,
        };
        let tokenizer = self.tokenizer(known.as_ref())?;
        self.write_tokenizer(&tokenizer)?;
        loop {
            Encoding {
                corpus: &self.corpus,
                tokenizer: &tokenizer,
                max_bytes: self.recipe.max_bytes,
                folder: &self.folder,
                cut: known.as_ref().and_then(|known| known.cut),
            }
            .run(&mut self.state, self.progress)?;
            if let Some(known) = known {
                let written = self.write(&tokenizer, &known)?;
                return self.describe(&tokenizer, &known, &written);
            }
            let notices = self.state.position.notices.clone().unwrap_or_default();
            let split = self.split(&state::ledger(&self.folder), &notices)?;
            if split.is_single {
                // The two parts of a single document are encoded separately.
                self.state.start_again(&self.folder, notices)?;
            }
            known = Some(self.known(split)?);
        }
    }

    /// Finds the byte at which a single document is cut, and adds it to the split.
    fn known(&self, split: Split) -> Result<Known, DataError> {
        let bytes = split.train_bytes + split.val_bytes;
        let cut = match split.is_single {
            true => Some(single::cut(&self.corpus, self.recipe, bytes)?),
            false => None,
        };
        Ok(Known { split, cut })
    }

    /// Decides the split from a list of all documents.
    fn split(&self, ledger: &Path, notices: &Notices) -> Result<Split, DataError> {
        let split = Split::decide(ledger, self.recipe.val_fraction, &state::work(&self.folder));
        split.map_err(|error| match error {
            DataError::Corpus(message) => {
                DataError::Corpus([vec![message], notices.lines()].concat().join("; "))
            }
            other => other,
        })
    }

    fn tokenizer(&mut self, known: Option<&Known>) -> Result<Tokenizer, DataError> {
        match (self.recipe.tokenizer, known) {
            (TokenizerConfig::Bytes {}, _) => Ok(Tokenizer::bytes()),
            (TokenizerConfig::File { path, end_of_text }, _) => {
                Tokenizer::load_with(Path::new(path), end_of_text.as_deref().into())
            }
            (TokenizerConfig::Bpe { vocab_size }, Some(known)) => {
                let trained = self.folder.join(TOKENIZER_FILE);
                if trained.is_file() {
                    return Tokenizer::load(&trained);
                }
                let sample = vocab_size * SAMPLE_BYTES_PER_TOKEN;
                let max_bytes = self.recipe.max_bytes;
                let parts = (&known.split, known.cut);
                let words =
                    survey::sample_words(&self.corpus, max_bytes, &self.folder, parts, sample)?;
                let progress = &mut *self.progress;
                bpe::train(&words, *vocab_size, &mut |done, total| {
                    let phase = PreparePhase::TrainingTokenizer;
                    PrepareProgress { phase, done, total }.tell(progress)
                })
            }
            (TokenizerConfig::Bpe { .. }, None) => Err(DataError::Corpus(
                "a tokenizer is trained on the training part, which is not known".to_owned(),
            )),
        }
    }

    /// Writes the tokenizer and, if needed, its configuration.
    fn write_tokenizer(&mut self, tokenizer: &Tokenizer) -> Result<(), DataError> {
        if let Some(json) = tokenizer.json() {
            atomic_write(&self.folder.join(TOKENIZER_FILE), json)?;
        }
        if let Some(json) = tokenizer.config_file() {
            atomic_write(&self.folder.join(CONFIG_FILE), &json)?;
        }
        Ok(())
    }

    fn write(&mut self, tokenizer: &Tokenizer, known: &Known) -> Result<Written, DataError> {
        write_parts(
            &self.folder,
            tokenizer,
            self.recipe.shard_tokens,
            known.cut.is_none().then_some(&known.split),
            self.progress,
        )
    }

    fn describe(
        &self,
        tokenizer: &Tokenizer,
        Known { split, cut }: &Known,
        written: &Written,
    ) -> Result<CorpusInfo, DataError> {
        let sources = self.recipe.sources;
        let whole_default =
            *sources == CorpusSource::Dependencies && self.recipe.max_bytes.is_none();
        let both = u64::from(cut.is_some());
        let bytes = split.train_bytes + split.val_bytes;
        let notices = self
            .state
            .surveyed
            .as_ref()
            .or(self.state.position.notices.as_ref());
        let notices = notices.cloned().unwrap_or_default();
        let info = CorpusInfo {
            sources: match sources {
                CorpusSource::Dependencies => dependencies::fingerprint()?,
                CorpusSource::Paths { paths, .. } => paths.clone(),
            },
            files: self.corpus.file_count(),
            documents: split.documents() as usize,
            duplicates: split.duplicates as usize,
            train_documents: split.train_documents() as usize,
            val_documents: (split.val_documents + both) as usize,
            train_bytes: cut.unwrap_or(split.train_bytes),
            val_bytes: cut.map_or(split.val_bytes, |cut| bytes - cut),
            train_tokens: written.train.tokens,
            val_tokens: written.val.tokens,
            train_shards: written.train.shards.clone(),
            val_shards: written.val.shards.clone(),
            val_fraction: self.recipe.val_fraction,
            vocab_size: tokenizer.vocab_size(),
            tokenizer_hash: blake3::Hash::from_bytes(tokenizer.hash())
                .to_hex()
                .to_string(),
            matches_recorded: whole_default
                .then(|| split.corpus_hash == dependencies::EXPECTED_HASH),
            corpus_hash: split.corpus_hash.clone(),
            skipped_lines: notices.count(Notice::BadLine),
            warnings: notices.lines(),
        };
        let json = serde_json::to_vec_pretty(&info).map_err(io::Error::from);
        let path = self.folder.join(INFO_FILE);
        atomic_write(&path, &json.map_err(DataError::io("write", &path))?)?;
        Ok(info)
    }
}

#[cfg(test)]
mod tests;
