//! Calls every reader with every file of `tests/corpus`, and with modified copies of these files.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::INPUTS;

/// The number of modified files for each reader.
const CHANGED: usize = 400;
/// Bytes that may be inserted: punctuation, digits, exponents and white space of the text formats,
/// control characters, and bytes outside ASCII.
const INSERTED: &[u8] = b"[]{}(),.:=\"'\\#-+_09eE \n\r\0\x7f\x80\xff";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).expect("a folder of the repository");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries.map(|entry| name(entry.expect("a name"))).collect()
}

/// Returns the corpus of an input: the name and the content of each file.
fn corpus(input: &str) -> Vec<(String, Vec<u8>)> {
    let folder = repository().join("tests/corpus").join(input);
    let read = |name: String| {
        let bytes = fs::read(folder.join(&name)).expect("a file of the corpus");
        (name, bytes)
    };
    names(&folder).into_iter().map(read).collect()
}

#[test]
fn every_input_has_a_corpus_and_a_fuzz_target() {
    let inputs: BTreeSet<String> = INPUTS.iter().map(|input| input.name.to_owned()).collect();
    assert_eq!(names(&repository().join("tests/corpus")), inputs);
    let targets = names(&repository().join("crates/rondo-fuzz/fuzz/fuzz_targets"));
    let stems = targets.iter().map(|file| file.trim_end_matches(".rs"));
    assert!(stems.eq(&inputs), "{targets:?}");
}

#[test]
fn no_file_of_the_corpus_breaks_its_reader() {
    for input in INPUTS {
        let files = corpus(input.name);
        assert!(!files.is_empty(), "{}", input.name);
        for (name, bytes) in files {
            read(&format!("{}/{name}", input.name), &bytes, input.read);
        }
    }
}

#[test]
fn no_change_of_a_file_of_the_corpus_breaks_its_reader() {
    for input in INPUTS {
        let seeds = corpus(input.name);
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(7));
        for number in 0..CHANGED {
            let (name, bytes) = dice.changed(&seeds);
            let what = format!("{}/{name}, change {number}", input.name);
            read(&what, &bytes, input.read);
        }
    }
}

/// Calls a reader with bytes. If the reader panics, the test's message contains the bytes.
fn read(what: &str, bytes: &[u8], read: fn(&[u8])) {
    let survived = catch_unwind(AssertUnwindSafe(|| read(bytes))).is_ok();
    assert!(survived, "{what}: {}", bytes.escape_ascii());
}

/// A random generator of modified files.
struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next_u32() as usize % bound
    }

    /// Modifies one of the `seeds` in one to four places. Returns its name and the modified
    /// content.
    fn changed<'s>(&mut self, seeds: &'s [(String, Vec<u8>)]) -> (&'s str, Vec<u8>) {
        let (name, seed) = &seeds[self.below(seeds.len())];
        let mut bytes = seed.clone();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes, seeds);
        }
        (name, bytes)
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[(String, Vec<u8>)]) {
        let at = self.below(bytes.len() + 1);
        match self.below(6) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            2 => bytes.insert(at, INSERTED[self.below(INSERTED.len())]),
            3 => drop(bytes.drain(at..(at + self.below(12)).min(bytes.len()))),
            4 => {
                let end = (at + self.below(40)).min(bytes.len());
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            _ => {
                let (_, other) = &seeds[self.below(seeds.len())];
                let tail = &other[self.below(other.len() + 1)..];
                bytes.truncate(at);
                bytes.extend_from_slice(tail);
            }
        }
    }
}
