//! The format of a token file, and its header.
//!
//! | bytes | field (integers little endian) |
//! |---|---|
//! | 0 .. 8 | magic `RONDOTOK` |
//! | 8 .. 12 | format version, 1 |
//! | 12 .. 16 | width of a token in bytes, 2 or 4 |
//! | 16 .. 24 | number of tokens |
//! | 24 .. 32 | vocabulary size |
//! | 32 .. 64 | hash of the tokenizer |
//! | 64 .. 96 | BLAKE3 of the body |
//! | 96 .. 128 | BLAKE3 of bytes 0 .. 96 |
//! | 128 .. | body: the tokens |

use std::fmt::Display;
use std::ops::Range;
use std::path::Path;

use crate::error::DataError;
use crate::mapped::Width;

const MAGIC: [u8; 8] = *b"RONDOTOK";
const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 128;

/// The fields of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) width: Width,
    /// The number of tokens.
    pub(super) count: u64,
    pub(super) vocab_size: u64,
    /// The hash of the tokenizer.
    pub(super) tokenizer: [u8; 32],
    /// BLAKE3 of the body.
    pub(super) body: [u8; 32],
}

impl Header {
    pub(super) fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.width as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.count.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.vocab_size.to_le_bytes());
        bytes[32..64].copy_from_slice(&self.tokenizer);
        bytes[64..96].copy_from_slice(&self.body);
        let check = blake3::hash(&bytes[..96]);
        bytes[96..].copy_from_slice(check.as_bytes());
        bytes
    }

    /// Reads the header; `file` holds all bytes of the file.
    pub(super) fn parse(path: &Path, file: &[u8]) -> Result<Self, DataError> {
        let refuse = refusal(path);
        let Some((header, body)) = file.split_first_chunk::<HEADER_BYTES>() else {
            return Err(refuse(
                "bytes in the file",
                &format!("at least {HEADER_BYTES}"),
                &file.len(),
            ));
        };
        let field = |range: Range<usize>| {
            let bytes = header[range].iter().rev();
            bytes.fold(0, |value, &byte| value << 8 | u64::from(byte))
        };
        let array = |start: usize| std::array::from_fn(|i| header[start + i]);
        if header[..8] != MAGIC {
            let (expected, actual) = (MAGIC.escape_ascii(), header[..8].escape_ascii());
            return Err(refuse("magic", &expected, &actual));
        }
        if field(8..12) != u64::from(VERSION) {
            return Err(refuse("format version", &VERSION, &field(8..12)));
        }
        let (expected, actual) = (blake3::hash(&header[..96]), array(96));
        if expected != actual {
            let actual = blake3::Hash::from_bytes(actual);
            return Err(refuse("checksum of the header", &expected, &actual));
        }
        let width = match field(12..16) {
            2 => Width::Two,
            4 => Width::Four,
            other => return Err(refuse("bytes of a token", &"2 or 4", &other)),
        };
        let count = field(16..24);
        let body_bytes = u128::from(count) * width as u128;
        if body_bytes != body.len() as u128 {
            return Err(refuse("bytes of the body", &body_bytes, &body.len()));
        }
        if count == 0 {
            return Err(refuse("tokens", &"at least 1", &0));
        }
        Ok(Self {
            width,
            count,
            vocab_size: field(24..32),
            tokenizer: array(32),
            body: array(64),
        })
    }
}

/// Returns a function that makes an error about this file from three arguments: the wrong quantity,
/// the expected value and the actual value.
pub(super) fn refusal(
    path: &Path,
) -> impl Fn(&'static str, &dyn Display, &dyn Display) -> DataError {
    move |what, expected, actual| DataError::Shard {
        path: path.to_owned(),
        what,
        expected: expected.to_string(),
        actual: actual.to_string(),
    }
}
