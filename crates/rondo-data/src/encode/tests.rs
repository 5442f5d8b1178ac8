use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::bpe::{self, WordCounts};
use crate::cut::PIECE_BYTES;

/// Kinds of text, which the tests repeat to make long texts.
const TEXTS: [&str; 12] = [
    "The cat sat on the mat.\nA cat, on a mat.\n",
    "The cat sat on the mat.\r\na cat on a mat\r\n",
    "Кошка сидит на коврике.\nА кошка, на коврике\n",
    "a paragraph of the cat.\n\nAnd  another on the mat.\n\n\n",
    "the cat sat on a mat and the cat ",
    "mat\rof\ra\rcat\r",
    "{\"the\":[1,2],\"cat\":\"on 12345\"},",
    "没有空格的文字，只有标点。",
    "    if the:\n\t\tcat = mat\n\n  end\n",
    "dGhlIGNhdCBzYXQ9+/01234",
    "  the   cat    sat \n on    a \n\n  mat  ",
    "e\u{301}te\u{301} n\u{303} 🦀🦀 a\u{200d}b\u{a0}c\u{2028}d ",
];

const BY_LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const SPACED: &str = include_str!("../../../../tests/corpus/tokenizer/prepends-a-space.json");

fn trained() -> Tokenizer {
    let mut words = WordCounts::default();
    for text in TEXTS {
        words.add(text).expect("any text");
    }
    bpe::train(&words, 330, &mut |_, _| Ok(())).expect("any text")
}

fn changed(json: &[u8], change: impl FnOnce(&mut Value)) -> Tokenizer {
    let mut file: Value = serde_json::from_slice(json).expect("JSON");
    change(&mut file);
    Tokenizer::from_json("test", file.to_string().into_bytes()).expect("a tokenizer")
}

/// Returns tokenizers that split a text into words in different ways or not at all, or put a space
/// before the text.
fn tokenizers() -> Vec<(&'static str, Tokenizer)> {
    let bpe = trained();
    let bpe_json = bpe.json().expect("a file").to_vec();
    let metaspace = |scheme: &str| {
        changed(SPACED.as_bytes(), |file| {
            file["normalizer"] = Value::Null;
            file["pre_tokenizer"] = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": true});
        })
    };
    let with_words = |words: Value| changed(&bpe_json, |file| file["pre_tokenizer"] = words);
    let letters: serde_json::Map<String, Value> = ('a'..='z')
        .flat_map(|c| [c.to_string(), format!("##{c}")])
        .chain(["[UNK]", "[SEP]", ".", ","].map(str::to_owned))
        .zip(0..)
        .map(|(token, id)| (token, id.into()))
        .collect();
    let word_pieces = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": letters},
    });
    vec![
        ("bytes", Tokenizer::bytes()),
        ("byte level", bpe),
        (
            "byte level with a space before",
            with_words(
                json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}),
            ),
        ),
        (
            "words of Llama 3",
            with_words(json!({"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": BY_LLAMA_3}, "behavior": "Isolated", "invert": false},
                {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
            ]})),
        ),
        (
            "a space before, no words",
            changed(SPACED.as_bytes(), |_| {}),
        ),
        ("metaspace always", metaspace("always")),
        ("metaspace first", metaspace("first")),
        ("metaspace never", metaspace("never")),
        (
            "word pieces",
            Tokenizer::from_json("test", word_pieces.to_string().into_bytes())
                .expect("a tokenizer"),
        ),
    ]
}

fn in_pieces(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut pieces = Vec::new();
    let mut gatherer = Gatherer::new(tokenizer);
    gatherer.push(text, Then::Ends, &mut pieces);
    let mut tokens = encode_pieces(tokenizer, &pieces)
        .expect("any text")
        .concat();
    assert_eq!(tokens.pop(), Some(tokenizer.end_of_text()));
    tokens
}

#[test]
fn every_tokenizer_gives_the_tokens_of_the_whole_text() {
    for (name, tokenizer) in tokenizers() {
        for text in TEXTS {
            let long = text.repeat(3 * PIECE_BYTES / text.len());
            let mut pieces = Vec::new();
            Gatherer::new(&tokenizer).push(&long, Then::Ends, &mut pieces);
            let cut = pieces.len();
            let whole = tokenizer.encode(&long).expect("any text");
            assert!(whole == in_pieces(&tokenizer, &long), "{name}: {text:?}");
            // The tokenizers with few letters encode a run of unknown characters as one token.
            let is_known =
                !name.contains("space") || name.contains("byte") || text.starts_with("The");
            assert!(cut >= 2 || !is_known, "{name}: {text:?}");
        }
        let all = TEXTS.map(|text| text.repeat(20_000 / text.len())).concat();
        let whole = tokenizer.encode(&all).expect("any text");
        assert!(whole == in_pieces(&tokenizer, &all), "{name}");
    }
}

fn source(name: &str, bytes: &[u8]) -> (tempfile::TempDir, CorpusSource) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    fs::write(&path, bytes).expect("writable");
    let source = CorpusSource::new(&[path.display().to_string()], "text");
    (folder, source)
}

#[test]
fn a_number_of_tokens_is_the_beginning_of_all_of_them() {
    let tokenizer = trained();
    for text in &TEXTS[..8] {
        let long = text.repeat((1 << 20) / text.len());
        let line = json!({"text": &long, "id": 1}).to_string();
        for (name, bytes) in [("a.txt", long.as_bytes()), ("a.jsonl", line.as_bytes())] {
            let (_folder, source) = source(name, bytes);
            let encode = |most| encode_source(&tokenizer, &source, most).expect("a text");
            let all = encode(None);
            assert_eq!(all.bytes, long.len() as u64);
            for most in [1, 65, 30_000, all.tokens.len() - 1, all.tokens.len()] {
                let some = encode(Some(most));
                assert!(some.tokens == all.tokens[..most], "{most} of {text:?}");
                assert!(
                    most > 30_000 || some.bytes <= FIRST_BYTES,
                    "{} bytes",
                    some.bytes
                );
            }
            assert_eq!(encode(Some(usize::MAX)).tokens, all.tokens);
        }
    }
}

#[test]
fn documents_that_follow_are_read_where_the_first_are_short() {
    let (_folder, source) = source(
        "a.jsonl",
        b"{\"text\":\"ab\"}\n{\"text\":\"c\"}\n{\"text\":\"d\"}",
    );
    let encode = |most| {
        encode_source(&Tokenizer::bytes(), &source, most)
            .expect("a text")
            .tokens
    };
    assert_eq!(encode(Some(4)), [97, 98, 256, 99]);
    assert_eq!(encode(None), [97, 98, 256, 99, 256, 100, 256]);
}

#[test]
fn nothing_to_evaluate_is_told_with_what_was_skipped() {
    let (_folder, source) = source("a.jsonl", b"{\"body\":\"ab\"}\n");
    let error = encode_source(&Tokenizer::bytes(), &source.skipping_bad_lines(true), None);
    let error = error.expect_err("no document").to_string();
    assert!(
        error.contains("holds no document") && error.contains("a.jsonl:1"),
        "{error}"
    );
}
