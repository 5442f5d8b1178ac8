//! Training of a byte-level BPE (Sennrich, Haddow and Birch, 2016; bytes as in GPT-2).
//!
//! The library `tokenizers` splits the text into words; later it loads the trained file and encodes
//! with it. The merges are found here, because the library's own trainer breaks ties between two
//! entries of the same pair by the order of a randomly seeded hash table, so it may not give the
//! same file twice. Here the next merge is the most frequent pair, and of equally frequent pairs
//! the smallest. No loop here iterates over a hash table.
//!
//! Ids `0..256` are the bytes, id 256 is the end of a text, and the merges follow in their order.

mod merger;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::json;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use self::merger::Merger;
use crate::cut::{Seams, Start};
use crate::error::DataError;
use crate::tokenizer::{END_OF_TEXT, Tokenizer, guarded};

type Pair = (u32, u32);

/// Counts the words of texts; the counts do not depend on the order of the texts.
#[derive(Default)]
pub(crate) struct WordCounts(BTreeMap<String, u64>);

impl WordCounts {
    /// Adds the words of one text, as the byte-level pre-tokenizer cuts it.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), DataError> {
        each_word(text, |word| match self.0.get_mut(word) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(word.to_owned(), 1);
            }
        })
    }
}

/// Passes the words of a text to `each`, spelt in the characters that stand for bytes.
fn each_word(text: &str, mut each: impl FnMut(&str)) -> Result<(), DataError> {
    let mut words = PreTokenizedString::from(text);
    guarded(|| ByteLevel::new(false, false, true).pre_tokenize(&mut words)).map_err(refuse)?;
    for (word, _, _) in words.get_splits(OffsetReferential::Original, OffsetType::Byte) {
        each(word);
    }
    Ok(())
}

/// The places between words, where a cut changes no word.
pub(crate) struct BetweenWords;

impl Seams for BetweenWords {
    fn seam(&self, left: &str, right: &str) -> Option<Start> {
        let append = |text: &str, words: &mut Vec<String>| {
            each_word(text, |word| words.push(word.to_owned())).ok()
        };
        let (mut whole, mut cut) = (Vec::new(), Vec::new());
        append(&[left, right].concat(), &mut whole)?;
        append(left, &mut cut)?;
        append(right, &mut cut)?;
        (whole == cut).then_some(Start::Plain)
    }
}

/// Trains a tokenizer of `vocab_size` tokens, or of fewer if the text has no more pairs to merge.
///
/// `progress` receives the number of finished merges and the number of all merges.
pub(crate) fn train(
    words: &WordCounts,
    vocab_size: usize,
    progress: &mut dyn FnMut(u64, u64) -> Result<(), DataError>,
) -> Result<Tokenizer, DataError> {
    let mut spelling = unmerged();
    let byte_of: BTreeMap<char, u32> = byte_characters().into_iter().zip(0..).collect();
    let mut merger = Merger::new(words, &byte_of);
    let bytes = spelling.len();
    let wanted = vocab_size.saturating_sub(bytes) as u64;
    let mut ids: HashMap<String, u32> = HashMap::new();
    let mut known: HashSet<Pair> = HashSet::new();
    let mut merges = Vec::new();
    while spelling.len() < vocab_size {
        let Some(pair) = merger.most_frequent() else {
            break;
        };
        let (left, right) = (&spelling[pair.0 as usize], &spelling[pair.1 as usize]);
        let merged = format!("{left}{right}");
        // Two pairs may spell the same token and share its id. Then a pair that is already merged
        // can be found again; it keeps its first rank.
        if known.insert(pair) {
            merges.push(json!([left, right]));
        }
        let next = spelling.len() as u32;
        let id = *ids.entry(merged.clone()).or_insert(next);
        if id == next {
            spelling.push(merged);
            let done = (spelling.len() - bytes) as u64;
            if done.is_multiple_of(64) || done == wanted {
                progress(done, wanted)?;
            }
        }
        merger.merge(pair, id);
    }
    Tokenizer::from_json("trained here", file_of(&spelling, &merges)?)
}

/// Returns the `tokenizer.json` in which each byte is a token: the alphabet and no merge.
pub(crate) fn bytes_file() -> Result<Vec<u8>, DataError> {
    file_of(&unmerged(), &[])
}

/// Returns the spelling of the tokens before any merge, by id: the bytes and the end of a text.
fn unmerged() -> Vec<String> {
    let mut spelling: Vec<String> = byte_characters().iter().map(char::to_string).collect();
    spelling.push(END_OF_TEXT.to_owned());
    spelling
}

/// Returns the text of a `tokenizer.json` with these tokens by id.
fn file_of(spelling: &[String], merges: &[serde_json::Value]) -> Result<Vec<u8>, DataError> {
    let vocab: BTreeMap<&str, usize> = spelling.iter().map(String::as_str).zip(0..).collect();
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true,
    });
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{
            "id": 256, "content": END_OF_TEXT, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        }],
        "normalizer": null, "pre_tokenizer": byte_level, "post_processor": null,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": false, "vocab": vocab, "merges": merges,
        },
    });
    // The library rewrites the file in its own layout, with ids in order. This text is hashed and
    // stored.
    guarded(|| tokenizers::Tokenizer::from_bytes(file.to_string())?.to_string(false))
        .map(String::into_bytes)
        .map_err(refuse)
}

fn refuse(message: String) -> DataError {
    DataError::Tokenizer {
        name: "in training".to_owned(),
        message,
    }
}

/// Returns the printable character that stands for each byte: the byte's own character if that is
/// printable, otherwise the next unused character from `U+0100` on (GPT-2's table).
pub(crate) fn byte_characters() -> [char; 256] {
    let mut replacements = ('\u{100}'..).take(256);
    std::array::from_fn(|byte| match byte as u8 {
        printable @ (b'!'..=b'~' | 0xa1..=0xac | 0xae..) => char::from(printable),
        _ => replacements.next().unwrap_or('\u{100}'),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(texts: &[&str]) -> WordCounts {
        let mut words = WordCounts::default();
        for text in texts {
            words.add(text).expect("the pre-tokenizer takes any text");
        }
        words
    }

    fn trained(texts: &[&str], vocab_size: usize) -> Tokenizer {
        train(&counts(texts), vocab_size, &mut |_, _| Ok(())).expect("any text trains a tokenizer")
    }

    #[test]
    fn the_byte_characters_are_those_of_the_library_and_differ() {
        let ours = byte_characters();
        let theirs = ByteLevel::alphabet();
        assert!(ours.iter().all(|c| theirs.contains(c)));
        let distinct: std::collections::BTreeSet<char> = ours.into_iter().collect();
        assert_eq!(distinct.len(), 256);
    }

    #[test]
    fn merges_come_by_count_and_of_equals_the_smallest_first() {
        // ab occurs four times. Then (ab, c) and (x, y) occur twice each, and (x, y) comes first,
        // because x < ab as an id.
        let tokenizer = trained(&["abc\nabc\nab\nab\nxy\nxy"], 260);
        let tokens = |text| tokenizer.encode(text).expect("bytes encode anything");
        assert_eq!(tokens("ab"), [257]);
        assert_eq!(tokens("xy"), [258]);
        assert_eq!(tokens("abc"), [259]);
        assert_eq!(tokenizer.vocab_size(), 260);
    }

    #[test]
    fn a_run_of_one_letter_counts_and_merges_without_overlap() {
        let tokenizer = trained(&["aaaaa\naaaaa"], 260);
        let tokens = tokenizer.encode("aaaaa").expect("bytes encode anything");
        assert_eq!(tokenizer.decode(&tokens).expect("own tokens"), "aaaaa");
        assert!(tokens.len() <= 2, "{tokens:?}");
    }

    #[test]
    fn any_text_comes_back_and_speaking_of_the_end_of_text_does_not_end_it() {
        let tokenizer = trained(&["the cat and the hat\n", "the end"], 280);
        for text in [
            "the hat",
            "  \t\nÜñï 猫 🦀",
            "",
            "a <|endoftext|> b",
            "\r\n\r\n x",
        ] {
            let tokens = tokenizer.encode(text).expect("bytes encode anything");
            assert!(!tokens.contains(&tokenizer.end_of_text()), "{text:?}");
            assert_eq!(tokenizer.decode(&tokens).expect("own tokens"), text);
        }
        assert_eq!(tokenizer.end_of_text(), 256);
    }

    #[test]
    fn two_trainings_give_the_same_file_whatever_the_order_of_the_texts() {
        let texts = [include_str!("bpe.rs"), include_str!("order.rs"), "x y z\n"];
        let reversed: Vec<&str> = texts.iter().rev().copied().collect();
        let (first, second) = (trained(&texts, 600), trained(&reversed, 600));
        assert_eq!(first.json(), second.json());
        assert_eq!(first.hash(), second.hash());
        assert_eq!(first.vocab_size(), 600);
    }

    #[test]
    fn a_small_text_gives_a_small_vocabulary() {
        assert_eq!(trained(&["ab"], 1000).vocab_size(), 257);
    }
}
