//! From a corpus to a prepared folder.
//!
//! The corpus is read once to see its documents, once more where a tokenizer is trained, and once to encode. The
//! folder is written aside and renamed, so that it is either whole or not there.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use rondo_files::{FileSystem, StagedFolder};

use crate::bpe::{self, BetweenWords, WordCounts};
use crate::config::{TokenizerConfig, val_fraction_violation};
use crate::corpus::{Corpus, CorpusSource};
use crate::cut::{PIECE_BYTES, pieces};
use crate::dependencies;
use crate::encode::{Encoded, Encoder};
use crate::error::DataError;
use crate::notices::{Notice, Notices};
use crate::prepared::{CorpusInfo, INFO_FILE, TOKENIZER_FILE, TRAIN_FILE, VAL_FILE};
use crate::split::{Part, Split, Survey};
use crate::tokenizer::{CONFIG_FILE, Tokenizer};

/// A tokenizer is trained on this many bytes of text for each token of its vocabulary, spread
/// evenly over the training part; more would change few merges and cost time.
const SAMPLE_BYTES_PER_TOKEN: usize = 1 << 10;

/// The sample of a tokenizer's training is spread in slices of at most this size. Longer pieces, which have no
/// place between two words, are cut anywhere for it.
const SLICE_BYTES: usize = 4 * PIECE_BYTES;

/// What `prepare` is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreparePhase {
    /// Reading the corpus for the first time; counts bytes on disk.
    Reading,
    /// Training the tokenizer; counts merges.
    TrainingTokenizer,
    /// Encoding both parts; counts bytes of text.
    Encoding,
}

/// How far a phase has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareProgress {
    /// The phase.
    pub phase: PreparePhase,
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
}

/// Hears how far the work has come, and says whether to go on.
pub type Tell<'a> = &'a mut dyn FnMut(PrepareProgress) -> ControlFlow<()>;

impl PrepareProgress {
    /// Tells of the progress.
    fn tell(self, progress: Tell<'_>) -> Result<(), DataError> {
        match progress(self) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(DataError::Interrupted),
        }
    }
}

/// Writes a corpus as a folder of token files, which must not exist yet.
///
/// The tokenizer is trained on the training part only, on a sample of 1 KiB a token (4 MiB for 4,096
/// tokens). `max_bytes` bounds the text that is read. Two runs over the same corpus write the same bytes.
///
/// # Errors
///
/// When the corpus cannot be read or split, the tokenizer cannot be had, the folder exists or
/// cannot be written; [`DataError::Interrupted`] where `progress` breaks it off.
pub fn prepare(
    sources: &CorpusSource,
    tokenizer: &TokenizerConfig,
    val_fraction: f64,
    max_bytes: Option<u64>,
    out: &Path,
    progress: Tell<'_>,
) -> Result<CorpusInfo, DataError> {
    let mut violations = Vec::new();
    tokenizer.validate(&mut |key, message| violations.push(format!("{key}: {message}")));
    violations.extend(val_fraction_violation(val_fraction).map(|m| format!("val_fraction: {m}")));
    if !violations.is_empty() {
        return Err(DataError::Config(violations.join("; ")));
    }
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
    let folder = StagedFolder::create(&FileSystem, out)?;
    let written = Preparation {
        corpus: Corpus::open(sources)?,
        max_bytes,
        folder: &folder,
        progress,
    }
    .run(sources, tokenizer, val_fraction)?;
    folder.commit()?;
    Ok(written)
}

struct Preparation<'a> {
    corpus: Corpus,
    max_bytes: Option<u64>,
    folder: &'a StagedFolder,
    progress: Tell<'a>,
}

impl Preparation<'_> {
    fn run(
        mut self,
        sources: &CorpusSource,
        config: &TokenizerConfig,
        val_fraction: f64,
    ) -> Result<CorpusInfo, DataError> {
        let (split, text_bytes, notices) = self.survey(val_fraction)?;
        let tokenizer = self.tokenizer(config, &split)?;
        if let Some(json) = tokenizer.json() {
            self.folder
                .write(TOKENIZER_FILE, |out| out.write_all(json))?;
        }
        if let Some(json) = tokenizer.config_file() {
            self.folder.write(CONFIG_FILE, |out| out.write_all(&json))?;
        }
        let (train, val) = self.encode(&tokenizer, &split, text_bytes)?;
        let whole_default = *sources == CorpusSource::Dependencies && self.max_bytes.is_none();
        let cut = split.count(|part| matches!(part, Part::Both { .. }));
        let info = CorpusInfo {
            sources: match sources {
                CorpusSource::Dependencies => dependencies::fingerprint()?,
                CorpusSource::Paths { paths, .. } => paths.clone(),
            },
            files: self.corpus.file_count(),
            documents: split.documents(),
            duplicates: split.count(|part| part == Part::Duplicate),
            train_documents: split.count(|part| part == Part::Train) + cut,
            val_documents: split.count(|part| part == Part::Val) + cut,
            train_bytes: train.bytes,
            val_bytes: val.bytes,
            train_tokens: train.tokens,
            val_tokens: val.tokens,
            val_fraction,
            vocab_size: tokenizer.vocab_size(),
            tokenizer_hash: blake3::Hash::from_bytes(tokenizer.hash())
                .to_hex()
                .to_string(),
            matches_recorded: whole_default
                .then(|| split.corpus_hash == dependencies::EXPECTED_HASH),
            corpus_hash: split.corpus_hash,
            skipped_lines: notices.count(Notice::BadLine),
            warnings: notices.lines(),
        };
        let json = serde_json::to_vec_pretty(&info).map_err(io::Error::from);
        self.folder.write(INFO_FILE, |out| out.write_all(&json?))?;
        Ok(info)
    }

    /// Reads the corpus once; returns the split, the bytes of all texts, and what was passed over.
    fn survey(&mut self, val_fraction: f64) -> Result<(Split, u64, Notices), DataError> {
        let mut survey = Survey::new(val_fraction);
        let mut bytes = 0;
        let progress = &mut *self.progress;
        let mut read = |done, total| {
            let phase = PreparePhase::Reading;
            PrepareProgress { phase, done, total }.tell(progress)
        };
        let ended = self
            .corpus
            .for_each(self.max_bytes, &mut read, &mut |document| {
                bytes += document.text.len() as u64;
                survey.add(document.file, document.text);
                Ok(())
            })?;
        if bytes == 0 {
            let lines = ended.notices.lines();
            let message = [vec!["the corpus holds no text".to_owned()], lines].concat();
            return Err(DataError::Corpus(message.join("; ")));
        }
        Ok((survey.split()?, bytes, ended.notices))
    }

    fn tokenizer(
        &mut self,
        config: &TokenizerConfig,
        split: &Split,
    ) -> Result<Tokenizer, DataError> {
        match config {
            TokenizerConfig::Bytes {} => Ok(Tokenizer::bytes()),
            TokenizerConfig::File { path, end_of_text } => {
                Tokenizer::load_with(Path::new(path), end_of_text.as_deref().into())
            }
            TokenizerConfig::Bpe { vocab_size } => {
                let words = self.sample_words(split, vocab_size * SAMPLE_BYTES_PER_TOKEN)?;
                let progress = &mut *self.progress;
                bpe::train(&words, *vocab_size, &mut |done, total| {
                    let phase = PreparePhase::TrainingTokenizer;
                    PrepareProgress { phase, done, total }.tell(progress)
                })
            }
        }
    }

    /// Counts the words in about `sample` bytes of the training part.
    fn sample_words(&self, split: &Split, sample: usize) -> Result<WordCounts, DataError> {
        let mut words = WordCounts::default();
        let (mut seen, mut taken) = (0_u128, 0_u128);
        for_each_part(&self.corpus, self.max_bytes, split, &mut |part, text| {
            if part != Part::Train {
                return Ok(());
            }
            for slice in pieces(text, &BetweenWords).flat_map(|piece| slices(piece.text)) {
                if taken * u128::from(split.train_bytes) <= seen * sample as u128 {
                    words.add(&slice[..slice.floor_char_boundary(sample)])?;
                    taken += slice.len() as u128;
                }
                seen += slice.len() as u128;
            }
            Ok(())
        })?;
        Ok(words)
    }

    /// Reads the corpus again and writes the tokens of both parts.
    fn encode(
        &mut self,
        tokenizer: &Tokenizer,
        split: &Split,
        text_bytes: u64,
    ) -> Result<(Encoded, Encoded), DataError> {
        let mut train = Encoder::create(&self.folder.path().join(TRAIN_FILE), tokenizer)?;
        let mut val = Encoder::create(&self.folder.path().join(VAL_FILE), tokenizer)?;
        let mut done = 0;
        let mut report = |done| {
            let progress = PrepareProgress {
                phase: PreparePhase::Encoding,
                done,
                total: text_bytes,
            };
            progress.tell(self.progress)
        };
        for_each_part(&self.corpus, self.max_bytes, split, &mut |part, text| {
            match part {
                Part::Train => train.push(text)?,
                Part::Val => val.push(text)?,
                Part::Duplicate | Part::Both { .. } => {}
            }
            done += text.len() as u64;
            report(done)
        })?;
        Ok((train.finish()?, val.finish()?))
    }
}

/// Hands over every document again with its part; one that was cut comes as its two parts.
fn for_each_part(
    corpus: &Corpus,
    max_bytes: Option<u64>,
    split: &Split,
    each: &mut dyn FnMut(Part, &str) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let mut index = 0;
    let changed = |file| corpus.changed(file);
    corpus.for_each(max_bytes, &mut |_, _| Ok(()), &mut |document| {
        let text = document.text;
        let part = split.part(index, document.file, text).map_err(changed)?;
        index += 1;
        if let Part::Both { train } = part {
            each(Part::Train, &text[..train])?;
            each(Part::Val, &text[train..])
        } else {
            each(part, text)
        }
    })?;
    split.all_read(index).map_err(changed)
}

/// Cuts a text into slices of at most [`SLICE_BYTES`], between any two characters.
fn slices(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (slice, behind) = rest.split_at(rest.floor_char_boundary(SLICE_BYTES));
        rest = behind;
        (!slice.is_empty()).then_some(slice)
    })
}

#[cfg(test)]
mod tests;
