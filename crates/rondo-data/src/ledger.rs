//! A list of all documents in reading order. It is stored on disk, so that memory does not grow
//! with the number of documents.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::DataError;

/// One document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// BLAKE3 of the document's text.
    pub(crate) hash: [u8; 32],
    /// The number of bytes of the text.
    pub(crate) bytes: u64,
    /// The number of its tokens, including the token that ends it; zero if the document was not
    /// encoded.
    pub(crate) tokens: u64,
    /// The index of the file that holds the document.
    pub(crate) file: u32,
}

impl Entry {
    const BYTES: usize = 52;

    fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..32].copy_from_slice(&self.hash);
        bytes[32..40].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.tokens.to_le_bytes());
        bytes[48..].copy_from_slice(&self.file.to_le_bytes());
        bytes
    }

    fn of_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let number = |from: usize, to: usize| {
            let field = bytes[from..to].iter().rev();
            field.fold(0_u64, |value, &byte| value << 8 | u64::from(byte))
        };
        Self {
            hash: std::array::from_fn(|i| bytes[i]),
            bytes: number(32, 40),
            tokens: number(40, 48),
            file: number(48, 52) as u32,
        }
    }
}

/// Appends entries to a ledger.
pub(crate) struct LedgerWriter {
    path: PathBuf,
    file: BufWriter<File>,
    entries: u64,
}

impl LedgerWriter {
    /// Opens a ledger to append after its first `entries` entries. Later entries are dropped.
    pub(crate) fn open(path: &Path, entries: u64) -> Result<Self, DataError> {
        let open = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            let end = entries * Entry::BYTES as u64;
            file.set_len(end)?;
            file.seek(SeekFrom::Start(end))?;
            Ok(BufWriter::new(file))
        };
        Ok(Self {
            path: path.to_owned(),
            file: open().map_err(DataError::io("write", path))?,
            entries,
        })
    }

    pub(crate) fn push(&mut self, entry: Entry) -> Result<(), DataError> {
        self.entries += 1;
        self.file
            .write_all(&entry.to_bytes())
            .map_err(DataError::io("write", &self.path))
    }

    /// Syncs all entries to the device; returns their number.
    pub(crate) fn sync(&mut self) -> Result<u64, DataError> {
        let sync = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data());
        sync.map_err(DataError::io("write", &self.path))?;
        Ok(self.entries)
    }
}

/// Reads the entries of a ledger in order.
pub(crate) struct Ledger {
    path: PathBuf,
    file: BufReader<File>,
    left: u64,
}

impl Ledger {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::io("read", path))?;
        let about = file.metadata().map_err(DataError::io("read", path))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufReader::new(file),
            left: about.len() / Entry::BYTES as u64,
        })
    }

    /// Returns the number of entries that have not been read.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }

    /// Skips entries.
    pub(crate) fn skip_entries(&mut self, count: u64) -> Result<(), DataError> {
        let count = count.min(self.left);
        self.left -= count;
        self.file
            .seek_relative((count * Entry::BYTES as u64) as i64)
            .map_err(DataError::io("read", &self.path))
    }

    /// Returns the next entry; `None` after the last one.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, DataError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut bytes = [0; Entry::BYTES];
        self.file
            .read_exact(&mut bytes)
            .map_err(DataError::io("read", &self.path))?;
        Ok(Some(Entry::of_bytes(&bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_in_order_and_a_ledger_goes_on_where_it_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ledger");
        let entry = |number: u8| Entry {
            hash: [number; 32],
            bytes: u64::from(number) << 40,
            tokens: u64::MAX - u64::from(number),
            file: u32::from(number),
        };
        let write = |from: u64, numbers: &[u8]| {
            let mut ledger = LedgerWriter::open(&path, from).expect("writable");
            for &number in numbers {
                ledger.push(entry(number)).expect("writable");
            }
            ledger.sync().expect("writable")
        };
        assert_eq!(write(0, &[1, 2, 3]), 3);
        assert_eq!(write(2, &[4]), 3);
        let mut ledger = Ledger::open(&path).expect("readable");
        assert_eq!(ledger.next_entry().expect("readable"), Some(entry(1)));
        ledger.skip_entries(1).expect("readable");
        assert_eq!(ledger.left(), 1);
        assert_eq!(ledger.next_entry().expect("readable"), Some(entry(4)));
        assert_eq!(ledger.next_entry().expect("readable"), None);
    }
}
