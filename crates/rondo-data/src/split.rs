//! Which documents train and which validate: no document does both.
//!
//! Exact copies are dropped. The rest is walked in the order of its BLAKE3 hashes, and documents
//! go to validation as long as they fit its share of the bytes. So the split depends on the texts
//! alone, not on names or order. Of a single document the tail validates.

use std::collections::BTreeSet;

use crate::error::DataError;

/// What happens to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It trains.
    Train,
    /// It validates.
    Val,
    /// It was there before.
    Duplicate,
    /// Its first `train` bytes train, the rest validates.
    Both {
        /// Length of the training part in bytes.
        train: usize,
    },
}

/// What was seen of the documents on the first reading.
#[derive(Default)]
pub(crate) struct Survey {
    documents: Vec<([u8; 32], u64)>,
    /// The number of each document's file.
    files: Vec<usize>,
    seen: BTreeSet<[u8; 32]>,
    duplicates: Vec<bool>,
    /// Where a single document would be cut.
    first_cut: usize,
    val_fraction: f64,
}

impl Survey {
    pub(crate) fn new(val_fraction: f64) -> Self {
        Self {
            val_fraction,
            ..Self::default()
        }
    }

    /// Adds the next document, which stands in file number `file`.
    pub(crate) fn add(&mut self, file: usize, text: &str) {
        let hash = *blake3::hash(text.as_bytes()).as_bytes();
        if self.documents.is_empty() {
            self.first_cut = tail_start(text, self.val_fraction);
        }
        self.duplicates.push(!self.seen.insert(hash));
        self.documents.push((hash, text.len() as u64));
        self.files.push(file);
    }

    /// Decides what happens to each document, in the order in which they were added.
    pub(crate) fn split(self) -> Result<Split, DataError> {
        let unique: Vec<usize> = (0..self.documents.len())
            .filter(|&index| !self.duplicates[index])
            .collect();
        let mut parts: Vec<Part> = self
            .duplicates
            .iter()
            .map(|&copy| if copy { Part::Duplicate } else { Part::Train })
            .collect();
        let mut hasher = blake3::Hasher::new();
        for &index in &unique {
            hasher.update(&self.documents[index].0);
        }
        match unique.as_slice() {
            [] => return Err(DataError::Corpus("the corpus holds no text".to_owned())),
            &[only] => {
                let bytes = self.documents[only].1;
                if self.first_cut == 0 || self.first_cut as u64 >= bytes {
                    return Err(DataError::Corpus(format!(
                        "one document of {bytes} bytes cannot be split into training and validation"
                    )));
                }
                parts[only] = Part::Both {
                    train: self.first_cut,
                };
            }
            _ => self.choose_validation(unique, &mut parts),
        }
        let train_bytes = parts
            .iter()
            .zip(&self.documents)
            .map(|(part, &(_, bytes))| match *part {
                Part::Train => bytes,
                Part::Both { train } => train as u64,
                Part::Val | Part::Duplicate => 0,
            })
            .sum();
        Ok(Split {
            train_bytes,
            hashes: self.documents.iter().map(|(hash, _)| *hash).collect(),
            files: self.files,
            parts,
            corpus_hash: hasher.finalize().to_hex().to_string(),
        })
    }

    fn choose_validation(&self, mut unique: Vec<usize>, parts: &mut [Part]) {
        let total: u64 = unique.iter().map(|&index| self.documents[index].1).sum();
        let mut budget = (total as f64 * self.val_fraction) as u64;
        unique.sort_by_key(|&index| self.documents[index].0);
        let mut none_fits = true;
        for &index in &unique {
            let bytes = self.documents[index].1;
            if bytes <= budget {
                budget -= bytes;
                parts[index] = Part::Val;
                none_fits = false;
            }
        }
        if none_fits && let Some(&smallest) = unique.iter().min_by_key(|&&i| self.documents[i].1) {
            parts[smallest] = Part::Val;
        }
    }
}

/// Returns where the tail that validates begins: at the last line that starts at or before the
/// share, or between two characters where a line would leave nothing to train on.
fn tail_start(text: &str, val_fraction: f64) -> usize {
    let share = text.floor_char_boundary((text.len() as f64 * (1.0 - val_fraction)) as usize);
    match text[..share].rfind('\n') {
        Some(line_end) if line_end + 1 > share / 2 => line_end + 1,
        _ => share,
    }
}

/// The decision for every document, and the hash of the corpus without copies.
pub(crate) struct Split {
    hashes: Vec<[u8; 32]>,
    files: Vec<usize>,
    parts: Vec<Part>,
    /// Bytes of text that train.
    pub(crate) train_bytes: u64,
    /// BLAKE3 over the hashes of the documents, in order, copies left out.
    pub(crate) corpus_hash: String,
}

impl Split {
    /// Returns what happens to document number `index`, which must read as it did before.
    ///
    /// # Errors
    ///
    /// Gives the number of the file that changed, where it does not.
    pub(crate) fn part(&self, index: usize, file: usize, text: &str) -> Result<Part, usize> {
        let Some(&before) = self.files.get(index) else {
            return Err(file);
        };
        let unchanged = self.hashes[index] == *blake3::hash(text.as_bytes()).as_bytes();
        match before == file && unchanged {
            true => Ok(self.parts[index]),
            // A file that has lost its last documents is noticed in the file behind it.
            false => Err(before.min(file)),
        }
    }

    /// Checks that all documents were read again: `count` of them were.
    ///
    /// # Errors
    ///
    /// Gives the number of the file that lost documents, where there are fewer than before.
    pub(crate) fn all_read(&self, count: usize) -> Result<(), usize> {
        self.files.get(count).map_or(Ok(()), |&file| Err(file))
    }

    /// Returns the number of documents read, copies included.
    pub(crate) fn documents(&self) -> usize {
        self.parts.len()
    }

    /// Counts the documents of one part.
    pub(crate) fn count(&self, wanted: impl Fn(Part) -> bool) -> usize {
        self.parts.iter().filter(|&&part| wanted(part)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(texts: &[&str], fraction: f64) -> Result<Split, DataError> {
        let mut survey = Survey::new(fraction);
        for (file, text) in texts.iter().enumerate() {
            survey.add(file, text);
        }
        survey.split()
    }

    #[test]
    fn validation_takes_about_its_share_and_copies_take_no_part() {
        let texts: Vec<String> = (0..200).map(|i| format!("document {}", i % 190)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let split = split(&texts, 0.1).expect("enough documents");
        assert_eq!(split.count(|part| part == Part::Duplicate), 10);
        let val = split.count(|part| part == Part::Val);
        assert!((17..=20).contains(&val), "{val}");
        assert_eq!(split.parts[190..], [Part::Duplicate; 10]);
    }

    #[test]
    fn the_split_depends_on_the_texts_alone() {
        let texts = ["one", "two", "three", "four", "five", "six", "seven"];
        let forward = split(&texts, 0.3).expect("enough");
        let reversed: Vec<&str> = texts.iter().rev().copied().collect();
        let mut backward = split(&reversed, 0.3).expect("enough").parts;
        backward.reverse();
        assert_eq!(forward.parts, backward);
    }

    #[test]
    fn a_share_too_small_for_any_document_takes_the_smallest() {
        let split = split(&["long document", "short", "another long one"], 0.01).expect("three");
        assert_eq!(split.parts, [Part::Train, Part::Val, Part::Train]);
        assert_eq!(split.train_bytes, 13 + 16);
    }

    #[test]
    fn of_a_single_document_the_tail_validates_from_a_line_on() {
        let lines = "0123\n".repeat(20);
        let part = split(&[&lines, &lines], 0.1).expect("one document").parts[0];
        assert_eq!(part, Part::Both { train: 90 });
        let part = split(&["ééééé"], 0.5).expect("one document").parts[0];
        assert_eq!(part, Part::Both { train: 4 });
    }

    #[test]
    fn nothing_and_almost_nothing_cannot_be_split() {
        assert!(split(&[], 0.1).is_err());
        assert!(split(&["é"], 0.1).is_err());
    }

    #[test]
    fn a_file_that_changed_is_named() {
        let split = split(&["one", "two"], 0.5).expect("two documents");
        assert!(split.part(0, 0, "one").is_ok());
        assert_eq!(split.part(0, 0, "One"), Err(0));
        // File 0 has lost its document, or grown by one.
        assert_eq!(split.part(0, 1, "two"), Err(0));
        assert_eq!(split.part(1, 0, "more"), Err(0));
        assert_eq!(split.part(2, 1, "three"), Err(1));
        assert_eq!(split.all_read(1), Err(1));
        assert_eq!(split.all_read(2), Ok(()));
    }
}
