//! Megatron's indexed data sets: `NAME.bin` with the tokens, `NAME.idx` with the starts of its
//! sequences.
//!
//! | bytes of the index | field |
//! |---|---|
//! | 9 | `MMIDIDX\0\0` |
//! | 8 | version, 1 |
//! | 1 | type of the numbers |
//! | 8 | number of sequences |
//! | 8 | number of documents, with one more for the end of the last |
//! | 4 × sequences | number of tokens in each sequence, i32 |
//! | 8 × sequences | where each sequence begins, in bytes, i64 |
//! | 8 × documents | the sequence with which each document begins, i64 |
//!
//! The tokens are read from the first byte to the last, so the sequences must be contiguous.

use std::path::{Path, PathBuf};

use super::{Layout, refusal};
use crate::error::DataError;
use crate::file::open_regular;
use crate::mapped::{Width, map};

/// The first bytes of an index.
const MAGIC: &[u8] = b"MMIDIDX\0\0";
const HEADER_BYTES: usize = 34;

/// Returns the index beside a `.bin` file, if there is one.
pub(crate) fn with_index(path: &Path) -> Option<PathBuf> {
    let is_bin = path.extension().is_some_and(|ending| ending == "bin");
    let index = path.with_extension("idx");
    let mut head = [0; MAGIC.len()];
    let there = is_bin
        && index.is_file()
        && open_regular(&index)
            .and_then(|mut file| {
                std::io::Read::read_exact(&mut file, &mut head)
                    .map_err(DataError::io("read", &index))
            })
            .is_ok();
    (there && head == MAGIC).then_some(index)
}

/// Returns where the tokens of a file of `file_bytes` bytes are, according to its index.
pub(super) fn layout(index: &Path, file_bytes: usize) -> Result<Layout, DataError> {
    let refuse = refusal(index);
    let map = map(index)?;
    let cut = || {
        refuse(&format!(
            "an index of {} bytes was cut or damaged",
            map.len()
        ))
    };
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = map.get(at..at.checked_add(bytes)?)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |value, &byte| value << 8 | u64::from(byte)),
        )
    };
    let version = number(9, 8).ok_or_else(cut)?;
    if version != 1 {
        return Err(refuse(&format!(
            "version {version} of Megatron's index is not known"
        )));
    }
    let width = match number(17, 1).ok_or_else(cut)? {
        1 | 2 => Width::One,
        3 | 8 => Width::Two,
        4 => Width::Four,
        5 => Width::Eight,
        other => {
            return Err(refuse(&format!(
                "numbers of type {other} are no token ids: 1 u8, 2 i8, 3 i16, 4 i32, 5 i64 and 8 u16 are read"
            )));
        }
    };
    let [sequences, documents] = [18, 26].map(|at| number(at, 8));
    let sequences = sequences
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(cut)?;
    let documents = documents
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(cut)?;
    let said = sequences
        .checked_mul(12)
        .zip(documents.checked_mul(8))
        .and_then(|(sequences, documents)| sequences.checked_add(documents))
        .and_then(|bytes| bytes.checked_add(HEADER_BYTES));
    // After the documents there may be a mode for each sequence, which texts do not use.
    if said.is_none_or(|said| said > map.len()) {
        return Err(cut());
    }
    let starts = HEADER_BYTES + 4 * sequences;
    let mut expected = 0_u64;
    for sequence in 0..sequences {
        let length = number(HEADER_BYTES + 4 * sequence, 4).ok_or_else(cut)?;
        let start = number(starts + 8 * sequence, 8).ok_or_else(cut)?;
        if start != expected {
            return Err(refuse(&format!(
                "sequence {sequence} begins at byte {start}, the one before ends at {expected}: sequences that do not \
                 lie one behind the other are not read"
            )));
        }
        expected = length
            .checked_mul(width as u64)
            .and_then(|bytes| expected.checked_add(bytes))
            .ok_or_else(cut)?;
    }
    match expected == file_bytes as u64 {
        true => Ok(Layout {
            at: 0..file_bytes,
            width,
        }),
        false => Err(refuse(&format!(
            "names {expected} bytes of tokens, the .bin file beside it has {file_bytes}"
        ))),
    }
}
