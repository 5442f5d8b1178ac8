//! Writes token files.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::header::{HEADER_BYTES, Header};
use crate::error::DataError;
use crate::mapped::{Width, beyond};

/// Writes tokens to a file, which is only valid after [`ShardWriter::finish`].
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

    /// Appends tokens; returns their bytes.
    ///
    /// # Errors
    ///
    /// When a token is outside the vocabulary or the file cannot be written.
    pub fn push(&mut self, tokens: &[u32]) -> Result<Vec<u8>, DataError> {
        let width = self.header.width as usize;
        let mut bytes = Vec::with_capacity(tokens.len() * width);
        for (position, &token) in (self.header.count..).zip(tokens) {
            if u64::from(token) >= self.header.vocab_size {
                return Err(beyond(
                    &self.path,
                    position,
                    u64::from(token),
                    self.header.vocab_size,
                ));
            }
            bytes.extend_from_slice(&token.to_le_bytes()[..width]);
        }
        self.header.count += tokens.len() as u64;
        self.hasher.update(&bytes);
        self.file
            .write_all(&bytes)
            .map_err(DataError::io("write", &self.path))?;
        Ok(bytes)
    }

    /// Writes the header, syncs the file and returns the number of tokens.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn finish(self) -> Result<u64, DataError> {
        let count = self.header.count;
        self.seal()?;
        Ok(count)
    }

    /// Writes the header, syncs the file and returns the BLAKE3 of the tokens.
    pub(crate) fn seal(mut self) -> Result<[u8; 32], DataError> {
        self.header.body = *self.hasher.finalize().as_bytes();
        let mut seal = || {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&self.header.to_bytes())?;
            self.file.flush()?;
            self.file.get_ref().sync_all()
        };
        seal().map_err(DataError::io("write", &self.path))?;
        Ok(self.header.body)
    }
}
