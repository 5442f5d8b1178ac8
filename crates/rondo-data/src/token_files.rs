//! Token files of other trainers; the header of a file says where its tokens are.
//!
//! | file | first bytes | tokens |
//! |---|---|---|
//! | llm.c, modded-nanogpt `.bin` | 20240520, version 1, as i32; 1,024 bytes in all | u16 |
//! | llm.c for Llama 3 `.bin` | 20240801, version 7, as i32; 1,024 bytes in all | u32 |
//! | NumPy `.npy` | `\x93NUMPY` and a description | integers of 1 to 8 bytes |
//! | Megatron `.bin` with `.idx` | the index begins with `MMIDIDX\0\0` | as the index says |
//! | Rondo's | `RONDOTOK` | u16 or u32 |
//! | nanoGPT `.bin` | tokens | [`RawWidth`] |
//!
//! All integers are little endian.

mod megatron;
mod npy;

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::foreign;
use crate::mapped::{MappedTokens, Width, beyond, map};
use crate::shards::Shard;

pub(crate) use self::megatron::with_index;

/// The width of the tokens in a file without a header.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum RawWidth {
    /// Two bytes, as nanoGPT writes them.
    #[default]
    U16,
    /// Four bytes.
    U32,
}

impl RawWidth {
    fn width(self) -> Width {
        match self {
            Self::U16 => Width::Two,
            Self::U32 => Width::Four,
        }
    }
}

/// Where the tokens of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layout {
    at: Range<usize>,
    width: Width,
}

/// Opens a token file and checks that all tokens are in the vocabulary.
///
/// # Errors
///
/// When the file cannot be read, is truncated or is not a token file, or when a token is outside
/// the vocabulary.
pub(crate) fn open(
    path: &Path,
    raw: RawWidth,
    vocab_size: usize,
) -> Result<MappedTokens, DataError> {
    let map = map(path)?;
    let refuse = refusal(path);
    if map.starts_with(b"RONDOTOK") {
        let shard = Shard::open(path)?;
        return checked(path, shard.into_tokens(), vocab_size, None);
    }
    let index = with_index(path);
    let (layout, doubt) = if map.starts_with(npy::MAGIC) {
        (npy::layout(&map).map_err(|why| refuse(&why))?, None)
    } else if let Some(index) = index {
        (megatron::layout(&index, map.len())?, None)
    } else if let Some(header) = Header::of(&map) {
        (header.layout(&map).map_err(|why| refuse(&why))?, None)
    } else {
        let layout = raw_layout(&map, raw).map_err(|why| refuse(&why))?;
        (layout, Some(raw))
    };
    if layout.at.is_empty() {
        return Err(refuse(&"holds no token"));
    }
    let tokens = MappedTokens::new(map, layout.at, layout.width);
    checked(path, tokens, vocab_size, doubt)
}

/// Returns an error if a token is outside the vocabulary. For a file without a header, the message
/// suggests the other width.
fn checked(
    path: &Path,
    tokens: MappedTokens,
    vocab_size: usize,
    raw: Option<RawWidth>,
) -> Result<MappedTokens, DataError> {
    let Some((position, id)) = tokens.beyond(vocab_size as u64) else {
        return Ok(tokens);
    };
    let error = beyond(path, position as u64, id, vocab_size as u64);
    Err(match raw {
        None => DataError::Corpus(format!(
            "{error}; name the tokenizer that made the tokens as data.tokenizer"
        )),
        Some(raw) => DataError::Corpus(format!(
            "{error}; the file has no header, so its tokens are read as data.raw = \"{}\" says: name the other \
             width, or the tokenizer that made the tokens as data.tokenizer",
            match raw {
                RawWidth::U16 => "u16",
                RawWidth::U32 => "u32",
            }
        )),
    })
}

/// The header of llm.c and modded-nanogpt: 256 integers of 32 bits, of which the third is the
/// number of tokens.
struct Header {
    version: i32,
    tokens: i32,
    width: Width,
    /// The supported version for this magic number.
    known: i32,
}

impl Header {
    const BYTES: usize = 1024;
    /// Magic number, version, width.
    const KINDS: [(i32, i32, Width); 2] =
        [(20_240_520, 1, Width::Two), (20_240_801, 7, Width::Four)];

    /// Returns the header of a file that begins with one of the magic numbers.
    fn of(file: &[u8]) -> Option<Self> {
        let (words, _) = file.get(..12)?.as_chunks::<4>();
        let word = |at: usize| i32::from_le_bytes(words[at]);
        let kinds = Self::KINDS.iter();
        let &(_, known, width) = kinds.clone().find(|(magic, ..)| *magic == word(0))?;
        Some(Self {
            version: word(1),
            tokens: word(2),
            width,
            known,
        })
    }

    fn layout(&self, file: &[u8]) -> Result<Layout, String> {
        if self.version != self.known {
            return Err(format!(
                "a token file of llm.c in version {}; this trainer reads version {} of it",
                self.version, self.known
            ));
        }
        let there = file.len().saturating_sub(Self::BYTES);
        let said = usize::try_from(self.tokens).unwrap_or(usize::MAX);
        match said.checked_mul(self.width as usize) {
            Some(bytes) if bytes == there && file.len() >= Self::BYTES => Ok(Layout {
                at: Self::BYTES..file.len(),
                width: self.width,
            }),
            _ => Err(format!(
                "its header names {} tokens of {} bytes behind {} bytes, {there} bytes are there; it was cut or \
                 damaged",
                self.tokens,
                self.width as usize,
                Self::BYTES
            )),
        }
    }
}

/// Uses the whole file as tokens, unless it is known to be something else.
fn raw_layout(file: &[u8], raw: RawWidth) -> Result<Layout, String> {
    let head = &file[..file.len().min(foreign::HEAD_BYTES)];
    if let Some(name) = foreign::name_of_mark(head) {
        return Err(format!("{name}, not token ids"));
    }
    let is_text = head.len() >= 16 && foreign::defect(head, 0, false).is_none();
    if is_text {
        return Err(
            "a text, not token ids; name texts as data.paths of `kind = \"text\"`".to_owned(),
        );
    }
    let width = raw.width();
    match file.len() % width as usize {
        0 => Ok(Layout {
            at: 0..file.len(),
            width,
        }),
        _ => Err(format!(
            "{} bytes are no whole number of tokens of {} bytes",
            file.len(),
            width as usize
        )),
    }
}

fn refusal(path: &Path) -> impl Fn(&dyn Display) -> DataError {
    move |message| DataError::Document {
        path: path.to_owned(),
        message: message.to_string(),
    }
}

#[cfg(test)]
mod tests;
