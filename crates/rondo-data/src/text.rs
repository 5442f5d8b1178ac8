//! Tokenized text, opened: training rows by number, validation rows in order.

use std::path::{Path, PathBuf};

use crate::batch::Batch;
use crate::error::DataError;
use crate::file::read_regular;
use crate::order::WindowOrder;
use crate::prepared::{CorpusInfo, INFO_FILE, TOKENIZER_FILE, TRAIN_FILE, VAL_FILE};
use crate::shards::Shard;
use crate::tokenizer::Tokenizer;

/// A prepared folder, checked and mapped into memory.
#[derive(Debug)]
pub struct TextData {
    folder: PathBuf,
    info: CorpusInfo,
    tokenizer: Tokenizer,
    train: Shard,
    val: Shard,
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
        let refuse = |what, expected: &str, actual: String| DataError::Shard {
            path: path.clone(),
            what,
            expected: expected.to_owned(),
            actual,
        };
        let hash = hex(tokenizer.hash());
        if info.tokenizer_hash != hash {
            let what = "hash of tokenizer.json";
            return Err(refuse(what, &info.tokenizer_hash, hash));
        }
        let open = |name: &str| {
            Shard::open_for(&folder.join(name), tokenizer.vocab_size(), tokenizer.hash())
        };
        let (train, val) = (open(TRAIN_FILE)?, open(VAL_FILE)?);
        for (what, written, found) in [
            ("tokens in train.tokens", info.train_tokens, train.len()),
            ("tokens in val.tokens", info.val_tokens, val.len()),
        ] {
            if written != found as u64 {
                return Err(refuse(what, &written.to_string(), found.to_string()));
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            info,
            tokenizer,
            train,
            val,
        })
    }

    /// Returns the folder that was opened.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns what `corpus.json` says.
    pub fn info(&self) -> &CorpusInfo {
        &self.info
    }

    /// Returns the BLAKE3 of the training tokens and that of the validation tokens.
    pub(crate) fn checksums(&self) -> [[u8; 32]; 2] {
        [self.train.checksum(), self.val.checksum()]
    }

    /// Returns the tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the number of tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.vocab_size()
    }

    /// Returns training rows `first_row .. first_row + rows`, counted over the whole run: a pure
    /// function of seed and row, whatever the number of rows in a batch.
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
        let len = self.train.len();
        let order = WindowOrder::new(len, seq).ok_or(DataError::TooShort {
            part: "training",
            seq,
            tokens: len,
        })?;
        let mut batch = Batch::with_capacity(rows, seq);
        let mut window = Vec::with_capacity(seq + 1);
        for row in (first_row..).take(rows) {
            let start = order.start(seed, row) as usize;
            window.clear();
            self.train.read(start..start + seq + 1, &mut window);
            batch.push_window(&window);
        }
        Ok(batch)
    }

    /// Returns the validation rows in batches of `batch`, the last of which may hold fewer:
    /// consecutive windows from the first token on, of at most `max_tokens` targets in all.
    ///
    /// Tokens behind the last full window are left out.
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
        let tokens = self.val.len();
        if seq == 0 || tokens < seq + 1 {
            return Err(DataError::TooShort {
                part: "validation",
                seq,
                tokens,
            });
        }
        let there = (tokens - 1) / seq;
        let rows = max_tokens.map_or(there, |max| there.min((max / seq).max(1)));
        let starts: Vec<usize> = (0..rows).map(|row| row * seq).collect();
        let mut window = Vec::with_capacity(seq + 1);
        Ok(starts
            .chunks(batch.max(1))
            .map(|starts| {
                let mut batch = Batch::with_capacity(starts.len(), seq);
                for &start in starts {
                    window.clear();
                    self.val.read(start..start + seq + 1, &mut window);
                    batch.push_window(&window);
                }
                batch
            })
            .collect())
    }

    /// Returns the cross entropy of the validation tokens under the frequencies of the training
    /// tokens, in nats per token: what a model that knows no context can reach.
    ///
    /// `−Σ_v c_val(v) / n_val · ln((c_train(v) + 1) / (n_train + vocab))`, `c` the counts and `n`
    /// the numbers of tokens; the one added keeps unseen tokens finite.
    pub fn unigram_cross_entropy(&self) -> f64 {
        let train = counts(&self.train, self.vocab_size());
        let val = counts(&self.val, self.vocab_size());
        let smoothed_total = (self.train.len() + self.vocab_size()) as f64;
        let sum: f64 = train
            .iter()
            .zip(&val)
            .filter(|&(_, &seen)| seen > 0)
            .map(|(&count, &seen)| seen as f64 * (smoothed_total / (count + 1) as f64).ln())
            .sum();
        sum / self.val.len() as f64
    }
}

fn counts(shard: &Shard, vocab_size: usize) -> Vec<u64> {
    let mut counts = vec![0; vocab_size];
    for token in shard.iter() {
        counts[token as usize] += 1;
    }
    counts
}

fn hex(hash: [u8; 32]) -> String {
    blake3::Hash::from_bytes(hash).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::ops::ControlFlow;

    use super::*;
    use crate::config::TokenizerConfig;
    use crate::corpus::CorpusSource;

    /// One document of which the last `val` bytes validate.
    fn with_text(text: &str, val_fraction: f64, check: impl FnOnce(&TextData)) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("t.txt");
        fs::write(&file, text).expect("writable");
        let source = CorpusSource::new(&[file.display().to_string()], "text");
        let out = folder.path().join("p");
        let bytes = TokenizerConfig::Bytes {};
        crate::prepare(&source, &bytes, val_fraction, None, &out, &mut |_| {
            ControlFlow::Continue(())
        })
        .expect("good");
        check(&TextData::open(&out).expect("just prepared"));
    }

    fn letters(count: usize) -> String {
        (0..count)
            .map(|i| char::from(b'a' + (i % 26) as u8))
            .collect()
    }

    #[test]
    fn rows_are_windows_of_the_text_and_do_not_depend_on_the_batch() {
        with_text(&letters(500), 0.2, |data| {
            let whole = data.train_rows(3, 0, 90, 10).expect("long enough");
            for row in 0..90 {
                let (inputs, targets) = (whole.input_row(row), whole.target_row(row));
                assert_eq!(inputs[1..], targets[..9]);
                for (input, target) in inputs.iter().zip(targets) {
                    let next = u32::from(b'a') + (input - u32::from(b'a') + 1) % 26;
                    assert!(*target == next || *target == 256);
                }
            }
            let later = data.train_rows(3, 60, 5, 10).expect("long enough");
            assert_eq!(later.inputs, whole.inputs[600..650]);
            let other = data.train_rows(4, 0, 90, 10).expect("long enough");
            assert_ne!(other.inputs, whole.inputs);
        });
    }

    #[test]
    fn validation_windows_are_consecutive_and_bounded() {
        with_text(&letters(100), 0.25, |data| {
            // 25 bytes and the end of the text: 26 tokens, 5 windows of 5 targets.
            let batches = data.val_batches(2, 5, None).expect("long enough");
            let rows: Vec<usize> = batches.iter().map(|batch| batch.batch).collect();
            assert_eq!(rows, [2, 2, 1]);
            let targets: Vec<u32> = batches.into_iter().flat_map(|b| b.targets).collect();
            assert_eq!(targets, data.val.iter().skip(1).collect::<Vec<_>>());
            let bounded = data.val_batches(8, 5, Some(14)).expect("long enough");
            assert_eq!((bounded.len(), bounded[0].batch), (1, 2));
        });
    }

    #[test]
    fn too_few_tokens_for_a_row_are_an_error_not_a_panic() {
        with_text("abcd", 0.5, |data| {
            assert!(data.train_rows(1, 0, 1, 2).is_ok());
            let error = data.train_rows(1, 0, 1, 3).expect_err("three tokens");
            assert!(
                error.to_string().contains("needs 4 tokens, found 3"),
                "{error}"
            );
            assert!(data.val_batches(1, 3, None).is_err());
        });
    }

    #[test]
    fn unigram_cross_entropy_can_be_redone_by_hand() {
        with_text("aabb", 0.5, |data| {
            // Training aa + end, validation bb + end, 257 tokens in the vocabulary.
            let expected = (2.0 * 260_f64.ln() + 130_f64.ln()) / 3.0;
            assert!((data.unigram_cross_entropy() - expected).abs() < 1e-12);
        });
    }
}
