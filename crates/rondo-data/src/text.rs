//! Opened tokenized text: training rows by number, validation rows in order.

use std::path::{Path, PathBuf};

use crate::batch::Batch;
use crate::config::MixtureSource;
use crate::error::DataError;
use crate::file::read_regular;
use crate::identity::CorpusIdentity;
use crate::mixture::Mixture;
use crate::order::WindowOrder;
use crate::prepared::{CorpusInfo, INFO_FILE, Part, TOKENIZER_FILE};
use crate::shards::Shard;
use crate::tokenizer::Tokenizer;
use crate::tokens::Tokens;

/// Tokenized text, checked and mapped into memory: a prepared folder, token files of another
/// trainer, or a mixture.
#[derive(Debug)]
pub struct TextData {
    folder: PathBuf,
    tokenizer: Tokenizer,
    identity: CorpusIdentity,
    warnings: Vec<String>,
    info: Option<CorpusInfo>,
    sources: Vec<TextSource>,
    mixture: Option<Mixture>,
    /// The token that ends a document, if attention stays within documents.
    document_end: Option<u32>,
}

/// One text of a mixture, or the only one.
#[derive(Clone, Debug)]
pub(crate) struct TextSource {
    /// The name of the text; empty if there is only one text.
    pub(crate) name: String,
    pub(crate) train: Tokens,
    pub(crate) val: Tokens,
}

impl TextData {
    /// Opens a folder written by [`crate::prepare()`].
    ///
    /// # Errors
    ///
    /// When a file is missing, damaged, or belongs to another tokenizer.
    pub fn open(folder: &Path) -> Result<Self, DataError> {
        let path = folder.join(INFO_FILE);
        let text = read_regular(&path)?;
        let info: CorpusInfo =
            serde_json::from_slice(&text).map_err(|error| DataError::Document {
                path: path.clone(),
                message: format!("not the description of a prepared corpus: {error}"),
            })?;
        let bytes = Tokenizer::bytes();
        let is_bytes = info.tokenizer_hash == hex(bytes.hash());
        let tokenizer = if is_bytes {
            bytes
        } else {
            Tokenizer::load(&folder.join(TOKENIZER_FILE))?
        };
        let hash = hex(tokenizer.hash());
        if info.tokenizer_hash != hash {
            return Err(DataError::Shard {
                path,
                what: "hash of tokenizer.json",
                expected: info.tokenizer_hash,
                actual: hash,
            });
        }
        let source = TextSource {
            name: String::new(),
            train: open_part(folder, Part::Train, &info, &tokenizer)?,
            val: open_part(folder, Part::Val, &info, &tokenizer)?,
        };
        Ok(Self {
            folder: folder.to_owned(),
            identity: CorpusIdentity::new(&tokenizer, info.corpus_hash.clone(), &source),
            warnings: info.warnings.clone(),
            info: Some(info),
            tokenizer,
            sources: vec![source],
            mixture: None,
            document_end: None,
        })
    }

    /// Opens tokens that were not prepared by this crate. Their files are in `folder`.
    pub(crate) fn from_elsewhere(
        folder: PathBuf,
        tokenizer: Tokenizer,
        train: Tokens,
        val: Tokens,
        warnings: Vec<String>,
    ) -> Self {
        let source = TextSource {
            name: String::new(),
            train,
            val,
        };
        let tokens = CorpusIdentity::hash_of_tokens(&source);
        Self {
            folder,
            identity: CorpusIdentity::new(&tokenizer, tokens, &source),
            tokenizer,
            warnings,
            info: None,
            sources: vec![source],
            mixture: None,
            document_end: None,
        }
    }

    /// Mixes texts of one tokenizer in the shares of their sources' weights.
    ///
    /// # Errors
    ///
    /// When there are no sources, or the share of a source is too small.
    pub(crate) fn mixed(sources: &[MixtureSource], texts: Vec<Self>) -> Result<Self, DataError> {
        let weights: Vec<f64> = sources.iter().map(|source| source.weight).collect();
        let mixture = Mixture::new(&weights).map_err(|source| {
            DataError::Config(format!("sources.{source}.weight: too small a share"))
        })?;
        let identity = CorpusIdentity::mixed(sources, &texts);
        let mut texts = texts.into_iter();
        let Some(mut first) = texts.next() else {
            return Err(DataError::Config("sources: no source".to_owned()));
        };
        for text in texts {
            first.warnings.extend(text.warnings);
            first.sources.extend(text.sources);
        }
        for (opened, source) in first.sources.iter_mut().zip(sources) {
            opened.name.clone_from(&source.name);
        }
        Ok(Self {
            identity,
            info: None,
            mixture: Some(mixture),
            ..first
        })
    }

    /// Returns the same text with attention limited to each document.
    ///
    /// # Errors
    ///
    /// When no training token ends a document.
    pub(crate) fn within_documents(self) -> Result<Self, DataError> {
        let end = self.tokenizer.end_of_text();
        let ends = |source: &TextSource| source.train.iter().any(|token| token == end);
        if !self.sources.iter().any(ends) {
            return Err(DataError::Config(format!(
                "document_mask: no training token is {}, token {end}, which ends a document: nothing stands between the \
                 documents, or another tokenizer made the tokens; remove the key, or name that tokenizer",
                self.tokenizer.end_of_text_name()
            )));
        }
        Ok(Self {
            document_end: Some(end),
            ..self
        })
    }

    /// Returns the folder that was opened; for a mixture, the folder of the first source.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the content of `corpus.json`; `None` for tokens that were not prepared by this
    /// crate.
    pub fn info(&self) -> Option<&CorpusInfo> {
        self.info.as_ref()
    }

    /// Returns what the user should know about the text, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the identity of the text.
    pub fn identity(&self) -> CorpusIdentity {
        self.identity.clone()
    }

    /// Returns the tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.vocab_size()
    }

    /// Returns training rows `first_row .. first_row + rows`, counted over the whole run. They are
    /// a pure function of seed and row and do not depend on the batch size.
    ///
    /// # Errors
    ///
    /// When the training tokens do not fill one row.
    pub fn train_rows(
        &self,
        seed: u64,
        first_row: u64,
        rows: usize,
        seq: usize,
    ) -> Result<Batch, DataError> {
        let orders = self.sources.iter().map(|source| {
            let tokens = source.train.len();
            WindowOrder::new(tokens, seq).ok_or_else(|| source.too_short("training", seq, tokens))
        });
        let orders = orders.collect::<Result<Vec<_>, _>>()?;
        let mut batch = self.no_rows(rows, seq);
        let mut window = Vec::with_capacity(seq + 1);
        for row in (first_row..).take(rows) {
            let draw = self.mixture.as_ref().map(|mixture| mixture.draw(seed, row));
            let (source, row) = draw.unwrap_or((0, row));
            let start = orders[source].start(seed, row) as usize;
            window.clear();
            let tokens = &self.sources[source].train;
            tokens.read(start..start + seq + 1, &mut window);
            batch.push_window(&window);
        }
        Ok(batch)
    }

    /// Returns the validation rows in batches of `batch`; the last batch may be smaller. The rows
    /// are consecutive windows from the first token on, with at most `max_tokens` targets in total.
    /// In a mixture each source has its own rows, in the share of its weight; the sources follow
    /// one another.
    ///
    /// Tokens after the last full window are left out.
    ///
    /// # Errors
    ///
    /// When the validation tokens do not fill one row.
    pub fn val_batches(
        &self,
        batch: usize,
        seq: usize,
        max_tokens: Option<usize>,
    ) -> Result<Vec<Batch>, DataError> {
        let by_source = self.val_batches_by_source(batch, seq, max_tokens)?;
        Ok(by_source
            .into_iter()
            .flat_map(|(_, batches)| batches)
            .collect())
    }

    /// Returns the same rows as [`TextData::val_batches`], by source. If there is only one source,
    /// its name is empty.
    ///
    /// # Errors
    ///
    /// When the validation tokens of a source do not fill one row.
    pub fn val_batches_by_source(
        &self,
        batch: usize,
        seq: usize,
        max_tokens: Option<usize>,
    ) -> Result<Vec<(&str, Vec<Batch>)>, DataError> {
        let there = self.sources.iter().map(|source| {
            let tokens = source.val.len();
            match seq == 0 || tokens < seq + 1 {
                true => Err(source.too_short("validation", seq, tokens)),
                false => Ok((tokens - 1) / seq),
            }
        });
        let there = there.collect::<Result<Vec<usize>, _>>()?;
        let most = max_tokens.map(|max| (max / seq).max(1));
        let rows = match &self.mixture {
            Some(mixture) => mixture.shares(&there, most),
            None => vec![most.map_or(there[0], |most| there[0].min(most))],
        };
        let batches = |(source, rows): (&'_ TextSource, usize)| {
            let starts: Vec<usize> = (0..rows).map(|row| row * seq).collect();
            let mut window = Vec::with_capacity(seq + 1);
            let batches = starts.chunks(batch.max(1)).map(|starts| {
                let mut batch = self.no_rows(starts.len(), seq);
                for &start in starts {
                    window.clear();
                    source.val.read(start..start + seq + 1, &mut window);
                    batch.push_window(&window);
                }
                batch
            });
            batches.collect()
        };
        let sources = self.sources.iter().zip(rows);
        Ok(sources
            .map(|(source, rows)| (source.name.as_str(), batches((source, rows))))
            .collect())
    }

    /// Returns an empty batch with room for `rows` rows.
    fn no_rows(&self, rows: usize, seq: usize) -> Batch {
        Batch {
            document_end: self.document_end,
            ..Batch::with_capacity(rows, seq)
        }
    }

    /// Returns the cross entropy of the validation tokens under the token frequencies of the
    /// training part, in nats per token: the best possible value for a model that ignores the
    /// context.
    ///
    /// `−Σ_v c_val(v) / n_val · ln((c_train(v) + 1) / (n_train + vocab))`, with `c` the counts and
    /// `n` the numbers of tokens; the added one keeps unseen tokens finite. For a mixture both
    /// frequencies are means over the sources by weight.
    pub fn unigram_cross_entropy(&self) -> f64 {
        let train = self.sources.iter().map(|source| {
            let smoothed_total = (source.train.len() + self.vocab_size()) as f64;
            (smoothed_total, counts(&source.train, self.vocab_size()))
        });
        let train: Vec<(f64, Vec<u64>)> = train.collect();
        let weights = self.mixture.as_ref().map_or(vec![1.0], Mixture::weights);
        // One over the probability of a token.
        let odds = |token: usize| match train.as_slice() {
            [(total, counts)] => total / (counts[token] + 1) as f64,
            several => {
                let sources = several.iter().zip(&weights);
                let share = |((total, counts), weight): (&(f64, Vec<u64>), &f64)| {
                    weight * (counts[token] + 1) as f64 / total
                };
                1.0 / sources.map(share).sum::<f64>()
            }
        };
        let sources = self.sources.iter().zip(&weights);
        let entropy = |(source, weight): (&TextSource, &f64)| {
            let val = counts(&source.val, self.vocab_size());
            let seen = val.iter().enumerate().filter(|&(_, &seen)| seen > 0);
            let sum: f64 = seen
                .map(|(token, &seen)| seen as f64 * odds(token).ln())
                .sum();
            weight * (sum / source.val.len() as f64)
        };
        sources.map(entropy).sum()
    }
}

impl TextSource {
    fn too_short(&self, part: &'static str, seq: usize, tokens: usize) -> DataError {
        let part = match self.name.as_str() {
            "" => part.to_owned(),
            name => format!("{part} of the source `{name}`"),
        };
        DataError::TooShort { part, seq, tokens }
    }
}

/// Opens the token files of one part of a prepared folder.
fn open_part(
    folder: &Path,
    part: Part,
    info: &CorpusInfo,
    tokenizer: &Tokenizer,
) -> Result<Tokens, DataError> {
    let refuse = |what, expected: String, actual: String| DataError::Shard {
        path: folder.join(INFO_FILE),
        what,
        expected,
        actual,
    };
    let (shards, tokens) = match part {
        Part::Train => (&info.train_shards, info.train_tokens),
        Part::Val => (&info.val_shards, info.val_tokens),
    };
    let open =
        |name: &str| Shard::open_for(&folder.join(name), tokenizer.vocab_size(), tokenizer.hash());
    let (files, checksum) = match shards {
        None => {
            let shard = open(part.file())?;
            let checksum = shard.checksum();
            (vec![shard.into_tokens()], checksum)
        }
        Some(shards) => {
            let mut files = Vec::new();
            for listed in &shards.files {
                let shard = open(&listed.file)?;
                let found = hex(shard.checksum());
                if found != listed.hash {
                    return Err(refuse("hash of a token file", listed.hash.clone(), found));
                }
                files.push(shard.into_tokens());
            }
            let checksum = blake3::Hash::from_hex(&shards.hash).map_err(|error| {
                refuse("hash of all tokens", error.to_string(), shards.hash.clone())
            })?;
            (files, *checksum.as_bytes())
        }
    };
    let opened = Tokens::new(files, Some(checksum));
    match opened.len() as u64 == tokens {
        true => Ok(opened),
        false => {
            let what = match part {
                Part::Train => "tokens in train.tokens",
                Part::Val => "tokens in val.tokens",
            };
            Err(refuse(what, tokens.to_string(), opened.len().to_string()))
        }
    }
}

fn counts(tokens: &Tokens, vocab_size: usize) -> Vec<u64> {
    let mut counts = vec![0; vocab_size];
    for token in tokens.iter() {
        counts[token as usize] += 1;
    }
    counts
}

fn hex(hash: [u8; 32]) -> String {
    blake3::Hash::from_bytes(hash).to_hex().to_string()
}

#[cfg(test)]
mod tests;
