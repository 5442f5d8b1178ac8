//! The tokens of one part of a corpus: the tokens of several files in sequence.

use std::ops::Range;
use std::sync::Arc;

use crate::mapped::MappedTokens;

/// A range of the tokens of several files.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    files: Arc<[MappedTokens]>,
    /// For each file, the number of tokens in the files before it.
    before: Arc<[usize]>,
    range: Range<usize>,
    checksum: [u8; 32],
}

impl Tokens {
    /// Joins the tokens of several files. `checksum` is the BLAKE3 of their bytes; if it is `None`,
    /// it is computed.
    pub(crate) fn new(files: Vec<MappedTokens>, checksum: Option<[u8; 32]>) -> Self {
        let mut count = 0;
        let before = files.iter().map(|file| {
            let before = count;
            count += file.len();
            before
        });
        let before: Arc<[usize]> = before.collect();
        let mut tokens = Self {
            files: files.into(),
            before,
            range: 0..count,
            checksum: checksum.unwrap_or_default(),
        };
        if checksum.is_none() {
            tokens.checksum = tokens.hash();
        }
        tokens
    }

    /// Divides the tokens in two; the second part has `count` tokens.
    pub(crate) fn split_tail(self, count: usize) -> (Self, Self) {
        let at = self.range.end - count.min(self.len());
        let part = |range| {
            let mut part = Self {
                range,
                ..self.clone()
            };
            part.checksum = part.hash();
            part
        };
        (part(self.range.start..at), part(at..self.range.end))
    }

    /// Returns the number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    /// Returns the BLAKE3 of the bytes of all tokens in sequence.
    pub(crate) fn checksum(&self) -> [u8; 32] {
        self.checksum
    }

    /// Appends the tokens of `range` to `tokens`.
    ///
    /// # Panics
    ///
    /// When `range` reaches beyond `len`.
    pub(crate) fn read(&self, range: Range<usize>, tokens: &mut Vec<u32>) {
        assert!(
            range.end <= self.len(),
            "{range:?} of {} tokens",
            self.len()
        );
        for (file, range) in self.in_files(range) {
            file.read(range, tokens);
        }
    }

    /// Iterates over all tokens.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        self.in_files(0..self.len())
            .flat_map(|(file, range)| file.iter(range))
    }

    fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for (file, range) in self.in_files(0..self.len()) {
            hasher.update(file.bytes_of(range));
        }
        *hasher.finalize().as_bytes()
    }

    /// Returns the files that a range overlaps, each with its part of the range.
    fn in_files(&self, range: Range<usize>) -> impl Iterator<Item = (&MappedTokens, Range<usize>)> {
        let (start, end) = (self.range.start + range.start, self.range.start + range.end);
        let first = self.before.partition_point(|&before| before <= start);
        let files = self.files.iter().zip(self.before.iter());
        files
            .skip(first.saturating_sub(1))
            .take_while(move |&(_, &before)| before < end)
            .map(move |(file, &before)| {
                let from = start.saturating_sub(before);
                (file, from..(end - before).min(file.len()))
            })
    }
}
