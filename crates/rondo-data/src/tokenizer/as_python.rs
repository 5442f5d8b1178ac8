//! Compares tokenizers with the results of the Python package `tokenizers` for odd texts and odd
//! ids.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::*;
use crate::cut::PIECE_BYTES;
use crate::documents::Then;
use crate::encode::{Gatherer, encode_pieces};

/// The name of each tokenizer, and the token that its file puts before a text.
const TOKENIZERS: [(&str, Option<&str>); 7] = [
    ("byte-level", None),
    ("byte-level-split", Some("<s>")),
    ("unigram", None),
    ("metaspace-bpe", Some("<s>")),
    ("prepends-a-space", None),
    ("word-pieces", Some("[CLS]")),
    ("chat", Some("<|begin_text|>")),
];

fn path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tokenizers");
    folder.join(name)
}

fn tokenizer(name: &str) -> Tokenizer {
    Tokenizer::load(&path(&format!("{name}.json"))).expect(name)
}

fn values<T: DeserializeOwned>(name: &str) -> T {
    let text = fs::read(path(name)).expect(name);
    serde_json::from_slice(&text).expect(name)
}

/// The expected values of a text: its ids, its ids if names of special tokens are read as tokens,
/// and the text that the second ids decode to.
type Values = (Vec<u32>, Vec<u32>, String);

#[test]
fn odd_texts_have_the_ids_and_the_decoded_text_of_the_python_package() {
    let strings: Vec<String> = values("strings.json");
    assert!(strings.len() >= 200);
    for (name, _) in TOKENIZERS {
        let plain = tokenizer(name);
        let named = plain.clone().with_special(true);
        let expected: Vec<Values> = values(&format!("{name}.values.json"));
        assert_eq!(expected.len(), strings.len());
        for (text, (as_text, as_named, decoded)) in strings.iter().zip(expected) {
            assert_eq!(plain.encode(text).expect(name), as_text, "{name}: {text:?}");
            assert_eq!(
                named.encode(text).expect(name),
                as_named,
                "{name}: {text:?}"
            );
            let found = named.decode(&as_named).expect(name);
            assert_eq!(found, decoded, "{name}: {text:?}");
        }
    }
}

#[test]
fn odd_ids_have_the_text_of_the_python_package() {
    for (name, _) in TOKENIZERS {
        let tokenizer = tokenizer(name);
        let expected: Vec<(Vec<u32>, String)> = values(&format!("{name}.decoded.json"));
        assert!(expected.len() > 60);
        for (ids, text) in expected {
            assert_eq!(tokenizer.decode(&ids).expect(name), text, "{name}: {ids:?}");
        }
    }
}

#[test]
fn a_long_document_is_neither_cut_nor_padded_and_its_pieces_have_the_ids_of_the_whole() {
    let strings: Vec<String> = values("strings.json");
    for (name, _) in TOKENIZERS {
        let tokenizer = tokenizer(name);
        let text = strings.join(" ");
        let text = text.repeat(2 * PIECE_BYTES / text.len() + 1);
        let whole = tokenizer.encode(&text).expect(name);
        let mut pieces = Vec::new();
        Gatherer::new(&tokenizer).push(&text, Then::Ends, &mut pieces);
        let mut tokens = encode_pieces(&tokenizer, &pieces).expect(name).concat();
        assert_eq!(tokens.pop(), Some(tokenizer.end_of_text()));
        assert!(tokens == whole, "{name}");
        assert!(whole.len() > 1000, "{name}: {}", whole.len());
        let empty = tokenizer.encode("").expect(name);
        assert!(empty.is_empty(), "{name}: {empty:?}");
    }
}

#[test]
fn only_a_run_of_bytes_can_change_with_the_tokens_behind_it() {
    let id = |tokenizer: &Tokenizer, token| match &tokenizer.kind {
        Kind::Bytes => unreachable!("a file"),
        Kind::File { inner, .. } => inner.token_to_id(token).expect(token),
    };
    for name in ["unigram", "metaspace-bpe"] {
        let tokenizer = tokenizer(name);
        let [first, second, end, the] =
            ["<0xC3>", "<0xA9>", "</s>", "▁the"].map(|t| id(&tokenizer, t));
        assert_eq!(tokenizer.decode(&[first, second]).expect(name), "é");
        let broken = tokenizer.decode(&[first, second, first]).expect(name);
        assert_eq!(broken, "\u{fffd}".repeat(3), "{name}");
        assert!(tokenizer.ends_in_bytes(&[the, first, second]), "{name}");
        assert!(tokenizer.ends_in_bytes(&[first, second, end]), "{name}");
        assert!(!tokenizer.ends_in_bytes(&[first, second, the]), "{name}");
        assert!(!tokenizer.ends_in_bytes(&[]), "{name}");
    }
    let byte_level = tokenizer("byte-level");
    let tokens = byte_level.encode("é").expect("bytes");
    assert!(!byte_level.ends_in_bytes(&tokens));
    assert!(!Tokenizer::bytes().ends_in_bytes(&[0xc3, 0xa9]));
}

#[test]
fn the_token_that_begins_a_text_is_the_one_of_the_post_processor() {
    for (name, opening) in TOKENIZERS {
        let tokenizer = tokenizer(name);
        let expected: Vec<u32> = opening
            .map(|token| match &tokenizer.kind {
                Kind::Bytes => unreachable!("a file"),
                Kind::File { inner, .. } => inner.token_to_id(token).expect(token),
            })
            .into_iter()
            .collect();
        assert_eq!(tokenizer.own_opening(), expected, "{name}");
    }
}
