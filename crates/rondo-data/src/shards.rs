//! Token files: a header that says what the tokens are, and the tokens, mapped into memory.
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
//!
//! Opening checks all of it, the body included; tens of megabytes take well under a second.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::DataError;
use crate::file::open_regular;

const MAGIC: [u8; 8] = *b"RONDOTOK";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 128;

/// Bytes of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Two = 2,
    Four = 4,
}

impl Width {
    fn of_vocab(vocab_size: usize) -> Self {
        if vocab_size <= 1 << 16 {
            Self::Two
        } else {
            Self::Four
        }
    }
}

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    width: Width,
    count: u64,
    vocab_size: u64,
    tokenizer: [u8; 32],
    body: [u8; 32],
}

impl Header {
    fn to_bytes(&self) -> [u8; HEADER_BYTES] {
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

    /// Reads the header of a file of which `file` holds all bytes.
    fn parse(path: &Path, file: &[u8]) -> Result<Self, DataError> {
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

/// Returns a constructor for the errors of one file: what, expected, actual.
fn refusal(
    path: &Path,
) -> impl Fn(&'static str, &dyn std::fmt::Display, &dyn std::fmt::Display) -> DataError {
    move |what, expected, actual| DataError::Shard {
        path: path.to_owned(),
        what,
        expected: expected.to_string(),
        actual: actual.to_string(),
    }
}

/// Writes tokens to a file that becomes valid with [`ShardWriter::finish`].
pub struct ShardWriter {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    header: Header,
}

impl ShardWriter {
    /// Creates a file for the tokens of one tokenizer.
    ///
    /// # Errors
    ///
    /// When the file exists or cannot be written.
    pub fn create(path: &Path, vocab_size: usize, tokenizer: [u8; 32]) -> Result<Self, DataError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .map(BufWriter::new)
            .map_err(DataError::io("create", path))?;
        file.write_all(&[0; HEADER_BYTES])
            .map_err(DataError::io("write", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            hasher: blake3::Hasher::new(),
            header: Header {
                width: Width::of_vocab(vocab_size),
                count: 0,
                vocab_size: vocab_size as u64,
                tokenizer,
                body: [0; 32],
            },
        })
    }

    /// Appends tokens.
    ///
    /// # Errors
    ///
    /// When a token lies beyond the vocabulary or the file cannot be written.
    pub fn push(&mut self, tokens: &[u32]) -> Result<(), DataError> {
        let width = self.header.width as usize;
        let mut bytes = Vec::with_capacity(tokens.len() * width);
        for (position, &token) in (self.header.count..).zip(tokens) {
            if u64::from(token) >= self.header.vocab_size {
                return Err(beyond(&self.path, position, token, self.header.vocab_size));
            }
            bytes.extend_from_slice(&token.to_le_bytes()[..width]);
        }
        self.header.count += tokens.len() as u64;
        self.hasher.update(&bytes);
        self.file
            .write_all(&bytes)
            .map_err(DataError::io("write", &self.path))
    }

    /// Writes the header, hands the file to the disk and returns the number of tokens.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn finish(mut self) -> Result<u64, DataError> {
        self.header.body = *self.hasher.finalize().as_bytes();
        let mut seal = || {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&self.header.to_bytes())?;
            self.file.flush()?;
            self.file.get_ref().sync_all()
        };
        seal().map_err(DataError::io("write", &self.path))?;
        Ok(self.header.count)
    }
}

fn beyond(path: &Path, position: u64, token: u32, vocab_size: u64) -> DataError {
    DataError::TokenBeyondVocabulary {
        path: path.to_owned(),
        position: format!("position {position}"),
        id: u64::from(token),
        vocab_size: usize::try_from(vocab_size).unwrap_or(usize::MAX),
    }
}

/// A token file, mapped into memory and checked.
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
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
        let shard = Self {
            path: path.to_owned(),
            header,
            map,
        };
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

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the vocabulary size that the header names.
    pub fn vocab_size(&self) -> u64 {
        self.header.vocab_size
    }

    /// Returns the BLAKE3 of the tokens.
    pub fn checksum(&self) -> [u8; 32] {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HASH: [u8; 32] = [7; 32];

    fn written(folder: &Path, vocab_size: usize, tokens: &[u32]) -> PathBuf {
        let path = folder.join("t.tokens");
        let mut writer = ShardWriter::create(&path, vocab_size, HASH).expect("writable");
        for part in tokens.chunks(3) {
            writer.push(part).expect("inside the vocabulary");
        }
        assert_eq!(writer.finish().expect("writable"), tokens.len() as u64);
        path
    }

    fn in_a_folder(check: impl FnOnce(&Path)) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        check(folder.path());
    }

    /// Writes a file around a header that is whole but for the change.
    fn forged(path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> DataError {
        let mut bytes = fs::read(path).expect("readable");
        change(&mut bytes);
        let check = blake3::hash(&bytes[..96]);
        bytes[96..128].copy_from_slice(check.as_bytes());
        fs::write(path, bytes).expect("writable");
        Shard::open(path).expect_err("the file was forged")
    }

    #[test]
    fn tokens_come_back_in_both_widths() {
        for (vocab_size, tokens) in [
            (300, vec![0, 1, 299, 256, 5]),
            (1 << 16, vec![65_535, 0]),
            (70_000, vec![69_999, 65_536, 1]),
        ] {
            in_a_folder(|folder| {
                let path = written(folder, vocab_size, &tokens);
                let shard = Shard::open_for(&path, vocab_size, HASH).expect("just written");
                assert_eq!(shard.iter().collect::<Vec<_>>(), tokens);
                let mut part = vec![9];
                shard.read(1..2, &mut part);
                assert_eq!(part, [9, tokens[1]]);
                assert_eq!((shard.len(), shard.is_empty()), (tokens.len(), false));
            });
        }
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_refused() {
        in_a_folder(|folder| {
            let path = written(folder, 300, &[1, 2, 299, 4]);
            let whole = fs::read(&path).expect("readable");
            for cut in 0..whole.len() {
                fs::write(&path, &whole[..cut]).expect("writable");
                assert!(Shard::open(&path).is_err(), "cut at {cut}");
            }
            for bit in 0..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                fs::write(&path, &flipped).expect("writable");
                assert!(Shard::open(&path).is_err(), "bit {bit}");
            }
            fs::write(&path, [whole.as_slice(), &[0]].concat()).expect("writable");
            let error = Shard::open(&path)
                .expect_err("one byte too many")
                .to_string();
            assert!(
                error.contains("t.tokens: bytes of the body: expected 8, found 9"),
                "{error}"
            );
        });
    }

    #[test]
    fn headers_that_are_whole_but_wrong_are_refused_by_their_field() {
        type Forgery = fn(&mut Vec<u8>);
        let cases: [(&str, Forgery); 6] = [
            ("magic: expected RONDOTOK, found XONDOTOK", |b| b[0] = b'X'),
            ("format version: expected 1, found 2", |b| b[8] = 2),
            ("bytes of a token: expected 2 or 4, found 3", |b| b[12] = 3),
            (
                "bytes of the body: expected 36893488147419103230, found 4",
                |b| {
                    b[16..24].fill(255);
                },
            ),
            ("tokens: expected at least 1, found 0", |b| {
                b.truncate(128);
                b[16] = 0;
            }),
            (
                "token 5 at position 1 lies beyond the vocabulary of 5 tokens",
                |b| b[24] = 5,
            ),
        ];
        for (expected, change) in cases {
            in_a_folder(|folder| {
                let error = forged(&written(folder, 6, &[1, 5]), change).to_string();
                assert!(error.contains(expected), "{error}");
            });
        }
    }

    #[test]
    fn tokens_of_another_tokenizer_are_refused() {
        in_a_folder(|folder| {
            let path = written(folder, 6, &[1, 5]);
            let error = Shard::open_for(&path, 6, [8; 32]).expect_err("another hash");
            assert!(
                error
                    .to_string()
                    .contains("hash of the tokenizer: expected 0808")
            );
            assert!(Shard::open_for(&path, 7, HASH).is_err());
        });
    }

    #[test]
    fn a_token_beyond_the_vocabulary_is_not_written() {
        in_a_folder(|folder| {
            let path = folder.join("t.tokens");
            let mut writer = ShardWriter::create(&path, 6, HASH).expect("writable");
            assert!(writer.push(&[5, 6]).is_err());
        });
    }

    #[test]
    fn an_unfinished_file_is_refused() {
        in_a_folder(|folder| {
            let path = folder.join("t.tokens");
            let mut writer = ShardWriter::create(&path, 6, HASH).expect("writable");
            writer.push(&[1; 9]).expect("inside the vocabulary");
            drop(writer);
            assert!(Shard::open(&path).is_err());
        });
    }
}
