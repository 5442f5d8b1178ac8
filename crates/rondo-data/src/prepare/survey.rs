//! Reads a corpus before it is encoded: lists its documents, and takes a sample to train a
//! tokenizer.

use std::path::Path;

use super::progress::{PreparePhase, PrepareProgress, Tell};
use super::single::Parts;
use super::state::survey_ledger;
use crate::bpe::{BetweenWords, WordCounts};
use crate::corpus::{Corpus, Document, Span};
use crate::cut::{Cutter, PIECE_BYTES};
use crate::documents::{Stop, Then};
use crate::error::DataError;
use crate::ledger::{Entry, Ledger, LedgerWriter};
use crate::notices::Notices;
use crate::split::{Part, Split};

/// The sample is spread over slices of at most this size. A piece that has no place between two
/// words may be longer; it is cut anywhere.
const SLICE_BYTES: usize = 4 * PIECE_BYTES;

/// Hashes documents that arrive in parts.
#[derive(Default)]
pub(super) struct Hashing {
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Hashing {
    /// Adds a part; returns the document's entry after its last part.
    pub(super) fn push(&mut self, document: &Document<'_>) -> Option<Entry> {
        self.hasher.update(document.text.as_bytes());
        self.bytes += document.text.len() as u64;
        if document.then == Then::GoesOn {
            return None;
        }
        let done = std::mem::take(self);
        Some(Entry {
            hash: *done.hasher.finalize().as_bytes(),
            bytes: done.bytes,
            tokens: 0,
            file: document.file as u32,
        })
    }
}

/// Compares documents with the documents of an earlier reading.
pub(super) struct Seen<'a> {
    corpus: &'a Corpus,
    entries: Ledger,
}

impl<'a> Seen<'a> {
    pub(super) fn open(corpus: &'a Corpus, folder: &Path) -> Result<Self, DataError> {
        let entries = Ledger::open(&survey_ledger(folder))?;
        Ok(Self { corpus, entries })
    }

    /// Skips the documents that an earlier process has compared.
    pub(super) fn skip(&mut self, documents: u64) -> Result<(), DataError> {
        self.entries.skip_entries(documents)
    }

    /// Checks that the next document is the same as in the earlier reading.
    pub(super) fn check(&mut self, now: &Entry) -> Result<(), DataError> {
        let file = now.file as usize;
        match self.entries.next_entry()? {
            Some(before) if before.file == now.file && before.hash == now.hash => Ok(()),
            // If a file has lost its last documents, this is noticed only in the file after it.
            Some(before) => Err(self.corpus.changed(file.min(before.file as usize))),
            None => Err(self.corpus.changed(file)),
        }
    }

    /// Checks that all documents were read again.
    pub(super) fn all_read(mut self) -> Result<(), DataError> {
        match self.entries.next_entry()? {
            Some(before) => Err(self.corpus.changed(before.file as usize)),
            None => Ok(()),
        }
    }
}

/// Lists every document. Returns notices about what was skipped.
pub(super) fn survey(
    corpus: &Corpus,
    max_bytes: Option<u64>,
    folder: &Path,
    progress: Tell<'_>,
) -> Result<Notices, DataError> {
    let total = corpus.size()?;
    let mut tell = |done| {
        let phase = PreparePhase::Reading;
        PrepareProgress { phase, done, total }.tell(progress)
    };
    let mut ledger = LedgerWriter::open(&survey_ledger(folder), 0)?;
    let mut hashing = Hashing::default();
    let ended = corpus.for_each(&Span::all(max_bytes), &mut |document| {
        if let Some(entry) = hashing.push(&document) {
            ledger.push(entry)?;
        }
        tell(document.read.min(total.saturating_sub(1)))?;
        Ok(Stop::No)
    })?;
    ledger.sync()?;
    tell(total)?;
    Ok(ended.notices)
}

/// Counts the words in about `sample` bytes of the training part. In a single document, the
/// training part is the text before `cut`.
pub(super) fn sample_words(
    corpus: &Corpus,
    max_bytes: Option<u64>,
    folder: &Path,
    (split, cut): (&Split, Option<u64>),
    sample: usize,
) -> Result<WordCounts, DataError> {
    let mut words = WordCounts::default();
    let (mut seen_bytes, mut taken) = (0_u128, 0_u128);
    let mut seen = Seen::open(corpus, folder)?;
    let (mut hashing, mut index) = (Hashing::default(), 0);
    let mut cutter = Cutter::new(&BetweenWords);
    let train_bytes = cut.unwrap_or(split.train_bytes);
    let mut parts = Parts::new(cut);
    corpus.for_each(&Span::all(max_bytes), &mut |document| {
        if split.part(index) == Part::Train
            && let [Some((text, then)), _] = parts.of(document.text, document.then)
        {
            cutter.push(text);
            while let Some(piece) = cutter.next(then != Then::GoesOn) {
                for slice in slices(&piece.text) {
                    if taken * u128::from(train_bytes) <= seen_bytes * sample as u128 {
                        words.add(&slice[..slice.floor_char_boundary(sample)])?;
                        taken += slice.len() as u128;
                    }
                    seen_bytes += slice.len() as u128;
                }
            }
        }
        if let Some(entry) = hashing.push(&document) {
            seen.check(&entry)?;
            index += 1;
        }
        Ok(Stop::No)
    })?;
    seen.all_read()?;
    Ok(words)
}

/// Cuts a text into slices of at most [`SLICE_BYTES`], between any two characters.
pub(super) fn slices(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (slice, behind) = rest.split_at(rest.floor_char_boundary(SLICE_BYTES));
        rest = behind;
        (!slice.is_empty()).then_some(slice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_a_text_without_words() {
        let text = format!("{}{}", "a".repeat(1 << 20), "b".repeat(1 << 20));
        let lengths: Vec<usize> = slices(&text).map(str::len).collect();
        assert_eq!(lengths, [SLICE_BYTES; 8]);
        let bytes = slices(&"猫".repeat(SLICE_BYTES))
            .map(str::len)
            .sum::<usize>();
        assert_eq!(bytes, 3 * SLICE_BYTES);
    }
}
