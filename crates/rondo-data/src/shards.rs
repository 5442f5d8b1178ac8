//! Token files: a header that says what the tokens are, and the tokens, mapped into memory.
//!
//! [`ShardWriter`] writes one and [`Shard`] reads it; `header` has the format. Opening checks all of it, the body
//! included; tens of megabytes take well under a second.

mod header;
mod writer;

use std::ops::Range;
use std::path::Path;

use memmap2::Mmap;

use self::header::{HEADER_BYTES, Header, Width, refusal};
pub use self::writer::ShardWriter;
use crate::error::DataError;
use crate::file::open_regular;

/// A token file, mapped into memory and checked.
#[derive(Debug)]
pub struct Shard {
    header: Header,
    map: Mmap,
}

impl Shard {
    /// Opens and checks a token file: its header, its length, its checksum, every token.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or breaks any rule of the format; the error names the file,
    /// what was expected and what was found.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = open_regular(path)?;
        #[expect(
            unsafe_code,
            reason = "mapping is unsafe because another process could truncate the file; token \
                      files are written aside, renamed and never changed afterwards"
        )]
        let map = unsafe { Mmap::map(&file) }.map_err(DataError::io("map", path))?;
        let header = Header::parse(path, &map)?;
        let shard = Self { header, map };
        let actual = blake3::hash(shard.body());
        if actual != shard.header.body {
            let expected = blake3::Hash::from_bytes(shard.header.body);
            return Err(refusal(path)("checksum of the tokens", &expected, &actual));
        }
        let vocab_size = shard.header.vocab_size;
        let foreign = (0..)
            .zip(shard.iter())
            .find(|&(_, id)| u64::from(id) >= vocab_size);
        if let Some((position, id)) = foreign {
            return Err(beyond(path, position, id, vocab_size));
        }
        Ok(shard)
    }

    /// Opens a token file that must come from the tokenizer with this hash.
    ///
    /// # Errors
    ///
    /// As [`Shard::open`], and when the tokens come from another tokenizer.
    pub fn open_for(
        path: &Path,
        vocab_size: usize,
        tokenizer: [u8; 32],
    ) -> Result<Self, DataError> {
        let shard = Self::open(path)?;
        let refuse = refusal(path);
        if shard.header.tokenizer != tokenizer {
            let [expected, actual] =
                [tokenizer, shard.header.tokenizer].map(blake3::Hash::from_bytes);
            return Err(refuse("hash of the tokenizer", &expected, &actual));
        }
        if shard.header.vocab_size != vocab_size as u64 {
            let actual = shard.header.vocab_size;
            return Err(refuse("vocabulary size", &vocab_size, &actual));
        }
        Ok(shard)
    }

    /// Returns the number of tokens, at least one.
    pub fn len(&self) -> usize {
        self.body().len() / self.header.width as usize
    }

    /// Returns `false`: a file without tokens is refused when it is opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the vocabulary size that the header names.
    pub fn vocab_size(&self) -> u64 {
        self.header.vocab_size
    }

    /// Returns the BLAKE3 of all tokens.
    pub(crate) fn checksum(&self) -> [u8; 32] {
        self.header.body
    }

    /// Appends the tokens of `range` to `tokens`.
    ///
    /// # Panics
    ///
    /// When `range` reaches beyond `len`.
    pub fn read(&self, range: Range<usize>, tokens: &mut Vec<u32>) {
        let width = self.header.width as usize;
        let bytes = &self.body()[range.start * width..range.end * width];
        tokens.extend(decode(self.header.width, bytes));
    }

    /// Iterates over all tokens.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        decode(self.header.width, self.body())
    }

    fn body(&self) -> &[u8] {
        &self.map[HEADER_BYTES..]
    }
}

fn decode(width: Width, bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(width as usize).map(|token| {
        token
            .iter()
            .rev()
            .fold(0, |id, &byte| id << 8 | u32::from(byte))
    })
}

fn beyond(path: &Path, position: u64, token: u32, vocab_size: u64) -> DataError {
    DataError::TokenBeyondVocabulary {
        path: path.to_owned(),
        position: format!("position {position}"),
        id: u64::from(token),
        vocab_size: usize::try_from(vocab_size).unwrap_or(usize::MAX),
    }
}

#[cfg(test)]
mod tests;
