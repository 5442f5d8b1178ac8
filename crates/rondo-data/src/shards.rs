//! Token files: a header that describes the tokens, and the tokens, mapped into memory.
//!
//! [`ShardWriter`] writes a token file and [`Shard`] reads it; `header` defines the format. Opening
//! a file checks all of it, including the tokens; for tens of megabytes this takes well under a
//! second.

mod header;
mod writer;

use std::ops::Range;
use std::path::Path;

use self::header::{HEADER_BYTES, Header, refusal};
pub use self::writer::ShardWriter;
use crate::error::DataError;
use crate::mapped::{MappedTokens, beyond, map};

/// A token file, mapped into memory and checked.
#[derive(Debug)]
pub struct Shard {
    header: Header,
    tokens: MappedTokens,
}

impl Shard {
    /// Opens and checks a token file: its header, its length, its checksum, every token.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or breaks any rule of the format; the error names the file,
    /// what was expected and what was found.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let map = map(path)?;
        let header = Header::parse(path, &map)?;
        let body = HEADER_BYTES..map.len();
        let tokens = MappedTokens::new(map, body, header.width);
        let actual = blake3::hash(tokens.bytes());
        if actual != header.body {
            let expected = blake3::Hash::from_bytes(header.body);
            return Err(refusal(path)("checksum of the tokens", &expected, &actual));
        }
        if let Some((position, id)) = tokens.beyond(header.vocab_size) {
            return Err(beyond(path, position as u64, id, header.vocab_size));
        }
        Ok(Self { header, tokens })
    }

    /// Opens a token file that must come from the tokenizer with this hash.
    ///
    /// # Errors
    ///
    /// The errors of [`Shard::open`]; also when the tokens come from another tokenizer.
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
        self.tokens.len()
    }

    /// Returns `false`: a file without tokens is refused when it is opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the vocabulary size that is stored in the header.
    pub fn vocab_size(&self) -> u64 {
        self.header.vocab_size
    }

    /// Returns the BLAKE3 of all tokens.
    pub(crate) fn checksum(&self) -> [u8; 32] {
        self.header.body
    }

    /// Returns the tokens, without the header.
    pub(crate) fn into_tokens(self) -> MappedTokens {
        self.tokens
    }

    /// Appends the tokens of `range` to `tokens`.
    ///
    /// # Panics
    ///
    /// When `range` reaches beyond `len`.
    pub fn read(&self, range: Range<usize>, tokens: &mut Vec<u32>) {
        self.tokens.read(range, tokens);
    }

    /// Iterates over all tokens.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.tokens.iter(0..self.len())
    }
}

#[cfg(test)]
mod tests;
