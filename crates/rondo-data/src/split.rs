//! Divides documents into training and validation; no document is in both.
//!
//! Exact copies are dropped. The other documents are visited in the order of their BLAKE3 hashes,
//! and go to validation while they fit the validation share of the bytes. So the split depends only
//! on the texts, not on names or order. A single document is cut, and its tail is the validation
//! part.
//!
//! Memory holds two bits per document. A large ledger is sorted in 256 parts, one at a time.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::DataError;
use crate::ledger::Ledger;

/// The maximum number of documents that are sorted in memory at once.
const IN_MEMORY: u64 = 1 << 20;

/// The part that a document belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Training.
    Train,
    /// Validation.
    Val,
    /// A copy of an earlier document.
    Duplicate,
}

/// The decision for every document.
#[derive(Debug)]
pub(crate) struct Split {
    documents: u64,
    duplicate: Bits,
    val: Bits,
    /// The number of documents that are copies.
    pub(crate) duplicates: u64,
    /// The number of validation documents.
    pub(crate) val_documents: u64,
    /// The number of bytes of training text.
    pub(crate) train_bytes: u64,
    /// The number of bytes of validation text.
    pub(crate) val_bytes: u64,
    /// Whether there is only one document, without copies. It counts as training until it is cut.
    pub(crate) is_single: bool,
    /// BLAKE3 over the hashes of the documents, in order, without copies.
    pub(crate) corpus_hash: String,
}

impl Split {
    /// Decides the part of each document of a ledger; `scratch` is a folder for temporary files.
    ///
    /// # Errors
    ///
    /// When there is no document, or a file cannot be read or written.
    pub(crate) fn decide(
        ledger: &Path,
        val_fraction: f64,
        scratch: &Path,
    ) -> Result<Self, DataError> {
        Self::decide_in(ledger, val_fraction, scratch, IN_MEMORY)
    }

    fn decide_in(
        ledger: &Path,
        val_fraction: f64,
        scratch: &Path,
        in_memory: u64,
    ) -> Result<Self, DataError> {
        let documents = Ledger::open(ledger)?.left();
        if documents == 0 {
            return Err(DataError::Corpus("the corpus holds no text".to_owned()));
        }
        let sorted = Sorted::new(ledger, scratch, in_memory)?;
        let (mut duplicate, mut val) = (Bits::new(documents), Bits::new(documents));
        let (mut duplicates, mut total) = (0, 0);
        let mut smallest: Option<Item> = None;
        sorted.for_each(&mut |item, is_copy| {
            if is_copy {
                duplicates += 1;
                duplicate.set(item.index);
                return;
            }
            total += item.bytes;
            if smallest.is_none_or(|smallest| item.bytes < smallest.bytes) {
                smallest = Some(item);
            }
        })?;
        let is_single = documents - duplicates == 1;
        let (mut val_documents, mut val_bytes) = (0, 0);
        if !is_single {
            let mut budget = (total as f64 * val_fraction) as u64;
            let mut choose = |item: Item| {
                val.set(item.index);
                val_documents += 1;
                val_bytes += item.bytes;
            };
            let mut none_fits = true;
            sorted.for_each(&mut |item, is_copy| {
                if !is_copy && item.bytes <= budget {
                    budget -= item.bytes;
                    none_fits = false;
                    choose(item);
                }
            })?;
            if none_fits && let Some(smallest) = smallest {
                choose(smallest);
            }
        }
        let mut hasher = blake3::Hasher::new();
        let mut entries = Ledger::open(ledger)?;
        for index in 0..documents {
            let Some(entry) = entries.next_entry()? else {
                break;
            };
            if !duplicate.get(index) {
                hasher.update(&entry.hash);
            }
        }
        Ok(Self {
            documents,
            duplicate,
            val,
            duplicates,
            val_documents,
            train_bytes: total - val_bytes,
            val_bytes,
            is_single,
            corpus_hash: hasher.finalize().to_hex().to_string(),
        })
    }

    /// Returns the part of document number `index`.
    pub(crate) fn part(&self, index: u64) -> Part {
        if self.duplicate.get(index) {
            Part::Duplicate
        } else if self.val.get(index) {
            Part::Val
        } else {
            Part::Train
        }
    }

    /// Returns the number of documents read, copies included.
    pub(crate) fn documents(&self) -> u64 {
        self.documents
    }

    /// Returns the number of training documents.
    pub(crate) fn train_documents(&self) -> u64 {
        self.documents - self.duplicates - self.val_documents
    }
}

/// One bit for each document.
#[derive(Debug)]
struct Bits(Vec<u64>);

impl Bits {
    fn new(count: u64) -> Self {
        Self(vec![0; count.div_ceil(64) as usize])
    }

    fn set(&mut self, index: u64) {
        self.0[(index / 64) as usize] |= 1 << (index % 64);
    }

    fn get(&self, index: u64) -> bool {
        let word = self.0.get((index / 64) as usize);
        word.is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

/// A document with its hash, for sorting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    hash: [u8; 32],
    index: u64,
    bytes: u64,
}

impl Item {
    const BYTES: usize = 48;
}

/// All documents in the order of their hashes; copies of one document are in reading order.
enum Sorted {
    InMemory(Vec<Item>),
    /// One file for each possible first byte of a hash. The files are removed when this is dropped.
    OnDisk(Vec<PathBuf>),
}

impl Sorted {
    fn new(ledger: &Path, scratch: &Path, in_memory: u64) -> Result<Self, DataError> {
        let mut entries = Ledger::open(ledger)?;
        let mut next = 0;
        let mut item = || {
            let entry = entries.next_entry()?;
            let index = next;
            next += 1;
            Ok::<_, DataError>(entry.map(|entry| Item {
                hash: entry.hash,
                index,
                bytes: entry.bytes,
            }))
        };
        if Ledger::open(ledger)?.left() <= in_memory {
            let mut items = Vec::new();
            while let Some(item) = item()? {
                items.push(item);
            }
            items.sort_unstable();
            return Ok(Self::InMemory(items));
        }
        let paths: Vec<PathBuf> = (0..256)
            .map(|first| scratch.join(format!("hashes.{first:02x}")))
            .collect();
        let mut files = Vec::new();
        for path in &paths {
            let file = File::create(path).map_err(DataError::io("create", path))?;
            files.push(BufWriter::new(file));
        }
        let sorted = Self::OnDisk(paths.clone());
        while let Some(item) = item()? {
            let bucket = usize::from(item.hash[0]);
            let mut bytes = [0; Item::BYTES];
            bytes[..32].copy_from_slice(&item.hash);
            bytes[32..40].copy_from_slice(&item.index.to_le_bytes());
            bytes[40..].copy_from_slice(&item.bytes.to_le_bytes());
            let written = files[bucket].write_all(&bytes);
            written.map_err(DataError::io("write", &paths[bucket]))?;
        }
        for (file, path) in files.iter_mut().zip(&paths) {
            file.flush().map_err(DataError::io("write", path))?;
        }
        Ok(sorted)
    }

    /// Calls `each` for every document. The second argument is whether the document is a copy of
    /// the document before.
    fn for_each(&self, each: &mut dyn FnMut(Item, bool)) -> Result<(), DataError> {
        let mut of = |items: &[Item]| {
            let mut before = None;
            for item in items {
                each(*item, before == Some(item.hash));
                before = Some(item.hash);
            }
        };
        match self {
            Self::InMemory(items) => of(items),
            Self::OnDisk(paths) => {
                for path in paths {
                    let mut items = read(path).map_err(DataError::io("read", path))?;
                    items.sort_unstable();
                    of(&items);
                }
            }
        }
        Ok(())
    }
}

impl Drop for Sorted {
    fn drop(&mut self) {
        if let Self::OnDisk(paths) = self {
            for path in paths {
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<Item>> {
    let file = File::open(path)?;
    let count = file.metadata()?.len() / Item::BYTES as u64;
    let mut file = BufReader::new(file);
    let mut items = Vec::with_capacity(count as usize);
    let mut bytes = [0; Item::BYTES];
    for _ in 0..count {
        file.read_exact(&mut bytes)?;
        let number = |from: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[from + i]));
        items.push(Item {
            hash: std::array::from_fn(|i| bytes[i]),
            index: number(32),
            bytes: number(40),
        });
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Entry, LedgerWriter};

    fn split_in(texts: &[&str], fraction: f64, in_memory: u64) -> Result<Split, DataError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("ledger");
        let mut ledger = LedgerWriter::open(&path, 0).expect("writable");
        for text in texts {
            let entry = Entry {
                hash: *blake3::hash(text.as_bytes()).as_bytes(),
                bytes: text.len() as u64,
                tokens: 0,
                file: 0,
            };
            ledger.push(entry).expect("writable");
        }
        ledger.sync().expect("writable");
        let split = Split::decide_in(&path, fraction, folder.path(), in_memory);
        let files = fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(files, 1, "the files of the buckets are removed");
        split
    }

    fn split(texts: &[&str], fraction: f64) -> Result<Split, DataError> {
        split_in(texts, fraction, IN_MEMORY)
    }

    fn parts(split: &Split) -> Vec<Part> {
        (0..split.documents())
            .map(|index| split.part(index))
            .collect()
    }

    #[test]
    fn validation_takes_about_its_share_and_copies_take_no_part() {
        let texts: Vec<String> = (0..200).map(|i| format!("document {}", i % 190)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let split = split(&texts, 0.1).expect("enough documents");
        assert_eq!(split.duplicates, 10);
        assert!(
            (17..=20).contains(&split.val_documents),
            "{}",
            split.val_documents
        );
        assert_eq!(split.train_documents() + split.val_documents, 190);
        assert_eq!(parts(&split)[190..], [Part::Duplicate; 10]);
    }

    #[test]
    fn the_split_depends_on_the_texts_alone() {
        let texts = ["one", "two", "three", "four", "five", "six", "seven"];
        let forward = split(&texts, 0.3).expect("enough");
        let reversed: Vec<&str> = texts.iter().rev().copied().collect();
        let mut backward = parts(&split(&reversed, 0.3).expect("enough"));
        backward.reverse();
        assert_eq!(parts(&forward), backward);
    }

    #[test]
    fn sorting_on_disk_decides_as_sorting_in_memory_does() {
        let texts: Vec<String> = (0..3000)
            .map(|i| format!("text {}", i * i % 2500))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let in_memory = split_in(&texts, 0.2, 3000).expect("enough");
        let on_disk = split_in(&texts, 0.2, 2999).expect("enough");
        assert!(in_memory.duplicates > 0 && in_memory.val_documents > 0);
        assert_eq!(parts(&in_memory), parts(&on_disk));
        assert_eq!(in_memory.corpus_hash, on_disk.corpus_hash);
        assert_eq!(
            (in_memory.train_bytes, in_memory.val_bytes),
            (on_disk.train_bytes, on_disk.val_bytes)
        );
    }

    #[test]
    fn a_share_too_small_for_any_document_takes_the_smallest() {
        let split = split(&["long document", "short", "another long one"], 0.01).expect("three");
        assert_eq!(parts(&split), [Part::Train, Part::Val, Part::Train]);
        assert_eq!((split.train_bytes, split.val_bytes), (13 + 16, 5));
    }

    #[test]
    fn one_document_and_its_copies_are_single_and_nothing_is_refused() {
        let one = split(&["text", "text"], 0.1).expect("one document");
        assert!(one.is_single);
        assert_eq!(parts(&one), [Part::Train, Part::Duplicate]);
        assert!(split(&[], 0.1).is_err());
    }
}
