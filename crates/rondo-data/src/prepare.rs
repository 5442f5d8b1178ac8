//! From a corpus to a folder of token files.
//!
//! ```text
//! tokenizer.json   absent for bytes
//! train.tokens     the training tokens, every document followed by the end-of-text token
//! val.tokens       the validation tokens, likewise
//! corpus.json      CorpusInfo
//! ```
//!
//! The corpus is read twice: once to see the documents and count words, once to encode. The folder
//! is written aside and renamed, so that it is either whole or not there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bpe::{self, WordCounts};
use crate::config::{TokenizerConfig, val_fraction_violation};
use crate::corpus::{Corpus, CorpusSource};
use crate::dependencies;
use crate::encode::{Encoded, Encoder, pieces};
use crate::error::DataError;
use crate::split::{Part, Split, Survey};
use crate::tokenizer::Tokenizer;

pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";
pub(crate) const TRAIN_FILE: &str = "train.tokens";
pub(crate) const VAL_FILE: &str = "val.tokens";
pub(crate) const INFO_FILE: &str = "corpus.json";

/// A tokenizer is trained on this many bytes of text for each token of its vocabulary, spread
/// evenly over the training part; more would change few merges and cost time.
const SAMPLE_BYTES_PER_TOKEN: usize = 1 << 10;

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

/// What a prepared folder holds: `corpus.json`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CorpusInfo {
    /// Where the text came from: the paths as given, or the crates with their versions.
    pub sources: Vec<String>,
    /// Files read.
    pub files: usize,
    /// Documents read, exact copies included.
    pub documents: usize,
    /// Exact copies that were dropped.
    pub duplicates: usize,
    /// Documents that train; one that was cut counts here and below.
    pub train_documents: usize,
    /// Documents that validate.
    pub val_documents: usize,
    /// Bytes of training text.
    pub train_bytes: u64,
    /// Bytes of validation text.
    pub val_bytes: u64,
    /// Training tokens.
    pub train_tokens: u64,
    /// Validation tokens.
    pub val_tokens: u64,
    /// Share of the bytes that was asked for validation.
    pub val_fraction: f64,
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// BLAKE3 of the tokenizer, in hexadecimal.
    pub tokenizer_hash: String,
    /// BLAKE3 over the BLAKE3 of every distinct document in reading order, in hexadecimal.
    pub corpus_hash: String,
    /// Whether the whole default corpus is the one recorded in [`dependencies::EXPECTED_HASH`];
    /// absent for any other corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches_recorded: Option<bool>,
}

/// Writes a corpus as a folder of token files, which must not exist yet.
///
/// The tokenizer is trained on the training part only, on a sample of 1 KiB a token (4 MiB for 4,096
/// tokens). `max_bytes` bounds the text that is read. Two runs over the same corpus write the same bytes.
///
/// # Errors
///
/// When the corpus cannot be read or split, the tokenizer cannot be had, the folder exists or
/// cannot be written.
pub fn prepare(
    sources: &CorpusSource,
    tokenizer: &TokenizerConfig,
    val_fraction: f64,
    max_bytes: Option<u64>,
    out: &Path,
    progress: &mut dyn FnMut(PrepareProgress),
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
    let aside = folder_aside(out)?;
    let written = Preparation {
        corpus: Corpus::open(sources)?,
        max_bytes,
        folder: &aside.path,
        progress,
    }
    .run(sources, tokenizer, val_fraction)?;
    aside.commit(out)?;
    Ok(written)
}

/// A folder that disappears again unless it is committed.
struct Aside {
    path: PathBuf,
}

fn folder_aside(out: &Path) -> Result<Aside, DataError> {
    let name = out
        .file_name()
        .ok_or_else(|| DataError::Corpus(format!("`{}` does not name a folder", out.display())))?;
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    aside.push(format!(".{}.partial", std::process::id()));
    let path = out.with_file_name(aside);
    // Left over from a process with the same number that was killed.
    if path.exists() {
        fs::remove_dir_all(&path).map_err(DataError::io("remove", &path))?;
    }
    fs::create_dir_all(&path).map_err(DataError::io("create", &path))?;
    Ok(Aside { path })
}

impl Aside {
    fn commit(self, out: &Path) -> Result<(), DataError> {
        fs::rename(&self.path, out).map_err(DataError::io("rename a prepared folder to", out))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After a commit there is nothing left here, and an error is already on its way otherwise.
        let _ = fs::remove_dir_all(&self.path);
    }
}

struct Preparation<'a> {
    corpus: Corpus,
    max_bytes: Option<u64>,
    folder: &'a Path,
    progress: &'a mut dyn FnMut(PrepareProgress),
}

impl Preparation<'_> {
    fn run(
        mut self,
        sources: &CorpusSource,
        config: &TokenizerConfig,
        val_fraction: f64,
    ) -> Result<CorpusInfo, DataError> {
        let (split, text_bytes) = self.survey(val_fraction)?;
        let tokenizer = self.tokenizer(config, &split)?;
        if let Some(json) = tokenizer.json() {
            write(&self.folder.join(TOKENIZER_FILE), json)?;
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
        };
        let path = self.folder.join(INFO_FILE);
        let json = serde_json::to_vec_pretty(&info)
            .map_err(|error| DataError::io("write", &path)(error.into()))?;
        write(&path, &json)?;
        Ok(info)
    }

    /// Reads the corpus once; returns the split and the bytes of all texts.
    fn survey(&mut self, val_fraction: f64) -> Result<(Split, u64), DataError> {
        let mut survey = Survey::new(val_fraction);
        let mut bytes = 0;
        let progress = &mut *self.progress;
        let mut read = |done, total| {
            progress(PrepareProgress {
                phase: PreparePhase::Reading,
                done,
                total,
            });
        };
        self.corpus
            .for_each(self.max_bytes, &mut read, &mut |text| {
                bytes += text.len() as u64;
                survey.add(text);
                Ok(())
            })?;
        Ok((survey.split()?, bytes))
    }

    fn tokenizer(
        &mut self,
        config: &TokenizerConfig,
        split: &Split,
    ) -> Result<Tokenizer, DataError> {
        match config {
            TokenizerConfig::Bytes {} => Ok(Tokenizer::bytes()),
            TokenizerConfig::File { path } => Tokenizer::load(Path::new(path)),
            TokenizerConfig::Bpe { vocab_size } => {
                let words = self.sample_words(split, vocab_size * SAMPLE_BYTES_PER_TOKEN)?;
                let progress = &mut *self.progress;
                bpe::train(&words, *vocab_size, &mut |done, total| {
                    progress(PrepareProgress {
                        phase: PreparePhase::TrainingTokenizer,
                        done,
                        total,
                    });
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
            for piece in pieces(text) {
                if taken * u128::from(split.train_bytes) <= seen * sample as u128 {
                    words.add(&piece[..piece.floor_char_boundary(sample)])?;
                    taken += piece.len() as u128;
                }
                seen += piece.len() as u128;
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
        let mut train = Encoder::create(&self.folder.join(TRAIN_FILE), tokenizer)?;
        let mut val = Encoder::create(&self.folder.join(VAL_FILE), tokenizer)?;
        let mut done = 0;
        let mut report = |done| {
            (self.progress)(PrepareProgress {
                phase: PreparePhase::Encoding,
                done,
                total: text_bytes,
            });
        };
        for_each_part(&self.corpus, self.max_bytes, split, &mut |part, text| {
            match part {
                Part::Train => train.push(text)?,
                Part::Val => val.push(text)?,
                Part::Duplicate | Part::Both { .. } => {}
            }
            done += text.len() as u64;
            report(done);
            Ok(())
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
    corpus.for_each(max_bytes, &mut |_, _| {}, &mut |text| {
        let part = split.part(index, text)?;
        index += 1;
        if let Part::Both { train } = part {
            each(Part::Train, &text[..train])?;
            each(Part::Val, &text[train..])
        } else {
            each(part, text)
        }
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    fs::File::create(path)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(DataError::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shards::Shard;

    fn corpus(texts: &[&str]) -> (tempfile::TempDir, CorpusSource) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (index, text) in texts.iter().enumerate() {
            fs::write(folder.path().join(format!("{index:03}.txt")), text).expect("writable");
        }
        let paths = vec![folder.path().display().to_string()];
        (folder, CorpusSource::new(&paths, "text"))
    }

    fn prepared(source: &CorpusSource, tokenizer: &TokenizerConfig, out: &Path) -> CorpusInfo {
        prepare(source, tokenizer, 0.3, None, out, &mut |_| {}).expect("a good corpus")
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("readable");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("readable").file_name().display().to_string())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn every_document_ends_with_the_end_of_text_and_counts_add_up() {
        let (_texts, source) = corpus(&["aa", "bb", "cc", "aa", "dd"]);
        let out = tempfile::tempdir().expect("a temporary folder");
        let folder = out.path().join("p");
        let info = prepared(&source, &TokenizerConfig::Bytes {}, &folder);
        assert_eq!(names(&folder), [INFO_FILE, TRAIN_FILE, VAL_FILE]);
        assert_eq!(names(out.path()), ["p"]);
        assert_eq!((info.documents, info.duplicates), (5, 1));
        assert_eq!((info.train_documents, info.val_documents), (3, 1));
        assert_eq!((info.train_bytes, info.val_bytes), (6, 2));
        assert_eq!((info.train_tokens, info.val_tokens), (9, 3));
        let train = Shard::open(&folder.join(TRAIN_FILE)).expect("just written");
        let tokens: Vec<u32> = train.iter().collect();
        for document in tokens.chunks(3) {
            assert_eq!(document[0], document[1]);
            assert_eq!(document[2], 256);
        }
    }

    #[test]
    fn two_runs_write_the_same_bytes() {
        let texts: Vec<String> = (0..30)
            .map(|i| format!("number {i} and {}\n", i * i))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (_texts, source) = corpus(&texts);
        let out = tempfile::tempdir().expect("a temporary folder");
        let bpe = TokenizerConfig::Bpe { vocab_size: 290 };
        let [first, second] = ["a", "b"].map(|name| out.path().join(name));
        assert_eq!(
            prepared(&source, &bpe, &first),
            prepared(&source, &bpe, &second)
        );
        for name in names(&first) {
            let [a, b] = [&first, &second].map(|folder| fs::read(folder.join(&name)));
            assert_eq!(a.expect("readable"), b.expect("readable"), "{name}");
        }
    }

    #[test]
    fn the_tokenizer_does_not_see_the_validation_text() {
        let train = "aba aba aba aba aba aba aba aba aba aba\n";
        let (_texts, source) = corpus(&[train, "zqzqzqzqzqzq"]);
        let out = tempfile::tempdir().expect("a temporary folder");
        let folder = out.path().join("p");
        prepared(&source, &TokenizerConfig::Bpe { vocab_size: 300 }, &folder);
        let tokenizer = Tokenizer::load(&folder.join(TOKENIZER_FILE)).expect("just written");
        assert_eq!(tokenizer.encode("zqzq").expect("bytes").len(), 4);
        assert!(tokenizer.encode("aba").expect("bytes").len() < 3);
    }

    #[test]
    fn a_failed_preparation_leaves_nothing_behind() {
        let (_texts, source) = corpus(&["aa", "bb"]);
        let out = tempfile::tempdir().expect("a temporary folder");
        let missing = TokenizerConfig::File {
            path: out.path().join("no.json").display().to_string(),
        };
        let folder = out.path().join("p");
        let run =
            |tokenizer, fraction| prepare(&source, tokenizer, fraction, None, &folder, &mut |_| {});
        assert!(run(&missing, 0.5).is_err());
        assert!(names(out.path()).is_empty());
        assert!(run(&TokenizerConfig::Bytes {}, 1.5).is_err());
        run(&TokenizerConfig::Bytes {}, 0.5).expect("a good corpus");
        let again = run(&TokenizerConfig::Bytes {}, 0.5).expect_err("the folder exists");
        assert!(again.to_string().contains("exists already"), "{again}");
    }

    #[test]
    fn progress_ends_at_its_total_in_every_phase() {
        let (_texts, source) = corpus(&["aaaa aaaa", "bbbb bbbb", "cccc cccc"]);
        let out = tempfile::tempdir().expect("a temporary folder");
        let mut last = Vec::new();
        let mut hear = |heard: PrepareProgress| {
            last.retain(|(phase, _, _)| *phase != heard.phase);
            last.push((heard.phase, heard.done, heard.total));
        };
        let bpe = TokenizerConfig::Bpe { vocab_size: 259 };
        prepare(&source, &bpe, 0.3, None, &out.path().join("p"), &mut hear).expect("good");
        assert_eq!(
            last,
            [
                (PreparePhase::Reading, 27, 27),
                (PreparePhase::TrainingTokenizer, 2, 2),
                (PreparePhase::Encoding, 27, 27)
            ]
        );
    }
}
