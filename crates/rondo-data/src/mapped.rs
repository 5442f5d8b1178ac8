//! Token ids of one width in a file, mapped into memory.

use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;
use rayon::prelude::*;

use crate::error::DataError;
use crate::file::open_regular;

/// The number of bytes that one thread checks at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// The number of bytes of one token; integers are little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    One = 1,
    Two = 2,
    Four = 4,
    Eight = 8,
}

impl Width {
    /// Returns two bytes if they can hold every token of a vocabulary, and otherwise four bytes.
    pub(crate) fn of_vocab(vocab_size: usize) -> Self {
        if vocab_size <= 1 << 16 {
            Self::Two
        } else {
            Self::Four
        }
    }

    /// Iterates over consecutive tokens.
    pub(crate) fn values(self, bytes: &[u8]) -> impl Iterator<Item = u64> + use<'_> {
        bytes.chunks_exact(self as usize).map(|token| {
            token
                .iter()
                .rev()
                .fold(0, |id, &byte| id << 8 | u64::from(byte))
        })
    }
}

/// Maps a file into memory.
pub(crate) fn map(path: &Path) -> Result<Mmap, DataError> {
    let file = open_regular(path)?;
    #[expect(
        unsafe_code,
        reason = "mapping is unsafe because another process could truncate the file; token files are written \
                  once, aside and renamed where they are ours, and never changed afterwards"
    )]
    unsafe { Mmap::map(&file) }.map_err(DataError::io("map", path))
}

/// The tokens of a file.
#[derive(Debug)]
pub(crate) struct MappedTokens {
    map: Mmap,
    /// The byte range of the tokens in the file.
    at: Range<usize>,
    width: Width,
}

impl MappedTokens {
    /// Uses the bytes `at` of a file as tokens.
    ///
    /// # Panics
    ///
    /// When `at` goes beyond the file.
    pub(crate) fn new(map: Mmap, at: Range<usize>, width: Width) -> Self {
        assert!(at.end <= map.len(), "{at:?} of {} bytes", map.len());
        Self { map, at, width }
    }

    /// Returns the number of tokens.
    pub(crate) fn len(&self) -> usize {
        self.at.len() / self.width as usize
    }

    /// Appends the tokens of `range` to `tokens`.
    ///
    /// # Panics
    ///
    /// When `range` goes beyond `len`.
    pub(crate) fn read(&self, range: Range<usize>, tokens: &mut Vec<u32>) {
        tokens.extend(self.iter(range));
    }

    /// Iterates over the tokens of a range. The tokens of a checked file fit in 32 bits.
    pub(crate) fn iter(&self, range: Range<usize>) -> impl Iterator<Item = u32> {
        self.values(self.bytes_of(range)).map(|id| id as u32)
    }

    /// Returns the bytes of a range of tokens.
    pub(crate) fn bytes_of(&self, range: Range<usize>) -> &[u8] {
        let width = self.width as usize;
        &self.bytes()[range.start * width..range.end * width]
    }

    /// Returns the bytes of the tokens.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map[self.at.clone()]
    }

    /// Returns the position and the id of the first token outside a vocabulary.
    pub(crate) fn beyond(&self, vocab_size: u64) -> Option<(usize, u64)> {
        let chunk = CHUNK_BYTES / self.width as usize * self.width as usize;
        let chunks = self.bytes().par_chunks(chunk).enumerate();
        chunks.find_map_first(|(number, bytes)| {
            let mut ids = self.values(bytes).enumerate();
            let (at, id) = ids.find(|&(_, id)| id >= vocab_size)?;
            Some((number * (chunk / self.width as usize) + at, id))
        })
    }

    fn values<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = u64> + use<'a> {
        self.width.values(bytes)
    }
}

/// Returns the error that a token of a file is outside the vocabulary.
pub(crate) fn beyond(path: &Path, position: u64, id: u64, vocab_size: u64) -> DataError {
    DataError::TokenBeyondVocabulary {
        path: path.to_owned(),
        position: format!("position {position}"),
        id,
        vocab_size: usize::try_from(vocab_size).unwrap_or(usize::MAX),
    }
}
