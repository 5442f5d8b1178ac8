//! Tests the token that ends a text. It is set by a key, a flag, a file beside the tokenizer, or
//! the ids of a model.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{altered, export, import};
use crate::harness::{assert_ok, refused, run, scratch, smoke_with};

/// The words of a text. Some of these tokens may end a text.
const WORDS: [&str; 8] = ["the", "cat", "sat", "on", "a", "mat", ".", "?"];

/// Returns a tokenizer of words in which a leading space is part of a word, as in Gemma and T5. Its
/// special tokens are `ends`; the first has id 0.
fn tokenizer(ends: &[&str]) -> String {
    let mut vocab = serde_json::Map::new();
    let mut added = Vec::new();
    for (id, name) in (0..).zip(ends) {
        vocab.insert((*name).to_owned(), id.into());
        added.push(json!({
            "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }));
    }
    for (id, word) in (ends.len()..).zip(WORDS) {
        vocab.insert(format!("▁{word}"), id.into());
    }
    let space =
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": space, "decoder": space, "post_processor": null,
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "▁?"},
    })
    .to_string()
}

fn text() -> String {
    "the cat sat on a mat . the mat sat on the cat . ".repeat(40)
}

/// Prepares the text with a tokenizer.
fn prepare(dir: &Path, tokenizer: &Path, further: &[&str]) -> crate::harness::Ended {
    let paths = ["text.txt", "prepared"].map(|name| dir.join(name).display().to_string());
    let tokenizer = tokenizer.display().to_string();
    let fixed = [
        "prepare",
        &paths[0],
        "--out",
        &paths[1],
        "--tokenizer",
        &tokenizer,
    ];
    run(fixed.iter().chain(further))
}

#[test]
fn a_tokenizer_whose_end_is_not_known_is_refused_until_it_is_named() {
    let dir = scratch();
    fs::write(dir.path().join("text.txt"), text()).expect("writable");
    let path = dir.path().join("tokenizer.json");
    fs::write(&path, tokenizer(&["<halt>"])).expect("writable");
    let parts = ["no token ends a text", "end_of_text = ", "--end-of-text"];
    refused(&prepare(dir.path(), &path, &[]), 3, &parts);
    refused(
        &prepare(dir.path(), &path, &["--end-of-text", "<stop>"]),
        3,
        &["<stop>"],
    );
    let ended = prepare(dir.path(), &path, &["--end-of-text", ""]);
    refused(&ended, 2, &["--end-of-text: must not be empty"]);
    let ended = prepare(dir.path(), &path, &["--end-of-text", "<halt>"]);
    assert_ok(&ended);
    assert!(!ended.stderr.contains("warning"), "{ended:?}");

    // The setting is stored in the prepared folder. The run, its resume and its export take it from
    // there.
    fs::remove_file(&path).expect("a file");
    let out = dir.path().join("run");
    let data = format!(
        "data={{kind=\"prepared\",path=\"{}\"}}",
        dir.path().join("prepared").display()
    );
    let train = |steps: &str| smoke_with(&out, &[&data, "train.seq=8", steps, "schedule.warmup=0"]);
    assert_ok(&train("train.steps=2"));
    assert_ok(&train("train.steps=3"));
    let there = dir.path().join("there");
    assert_ok(&export(&out, &there, &[]));
    let json_of = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(there.join(name)).expect("a file")).expect("JSON")
    };
    assert_eq!(json_of("config.json")["eos_token_id"], 0);
    assert_eq!(json_of("tokenizer_config.json")["eos_token"], "<halt>");
    let path = out.display().to_string();
    assert_ok(&run([
        "generate",
        &path,
        "--prompt",
        "the",
        "--max-tokens",
        "2",
        "--device",
        "flex",
    ]));
}

#[test]
fn of_several_known_names_the_key_and_the_file_beside_decide_and_else_it_is_told() {
    let dir = scratch();
    let text_file = dir.path().join("text.txt");
    fs::write(&text_file, text()).expect("writable");
    let path = dir.path().join("tokenizer.json");
    fs::write(&path, tokenizer(&["<|im_end|>", "<|endoftext|>"])).expect("writable");
    let paths = format!("data.paths=[\"{}\"]", text_file.display());
    let eos = |name: &str, end: &str, told: bool| {
        let (out, there) = (
            dir.path().join(name),
            dir.path().join(format!("{name}-there")),
        );
        let tokenizer = format!(
            "data.tokenizer={{kind=\"file\",path=\"{}\"{end}}}",
            path.display()
        );
        let keys: [&str; 5] = [
            &paths,
            &tokenizer,
            "train.seq=8",
            "train.steps=1",
            "schedule.warmup=0",
        ];
        let ended = smoke_with(&out, &keys);
        assert_ok(&ended);
        assert_eq!(ended.stderr.contains("is taken"), told, "{ended:?}");
        assert_ok(&export(&out, &there, &[]));
        let text = fs::read(there.join("config.json")).expect("a file");
        let config: Value = serde_json::from_slice(&text).expect("JSON");
        config["eos_token_id"].clone()
    };
    assert_eq!(eos("list", "", true), 1);
    assert_eq!(eos("key", ",end_of_text=\"<|im_end|>\"", false), 0);
    assert_eq!(eos("same", ",end_of_text=\"<|endoftext|>\"", false), 1);
    fs::write(
        dir.path().join("tokenizer_config.json"),
        r#"{"eos_token": "<|im_end|>"}"#,
    )
    .expect("writable");
    assert_eq!(eos("beside", "", false), 0);
}

#[test]
fn a_models_own_id_ends_its_texts_where_no_file_names_the_token() {
    let dir = scratch();
    let source = altered(
        dir.path(),
        |_| {},
        |config| config["eos_token_id"] = 0.into(),
    );
    fs::write(source.join("tokenizer.json"), tokenizer(&["<halt>"])).expect("writable");
    let (out, text) = (dir.path().join("run"), dir.path().join("text.txt"));
    let ended = import(&source, &out);
    assert_ok(&ended);
    assert!(!ended.stderr.contains("warning"), "{ended:?}");
    fs::write(&text, "the cat sat").expect("writable");
    fs::write(dir.path().join("ids.json"), "[1, 2, 3, 0]").expect("writable");
    let path = out.display().to_string();
    let loss = |flag: &str, file: &Path| {
        let file = file.display().to_string();
        let ended = run([
            "eval",
            &path,
            "--device",
            "flex",
            flag,
            &file,
            "--recurrence",
            "2",
            "--json",
        ]);
        assert_ok(&ended);
        ended.json()["runs"][0]["depths"][0]["loss"].clone()
    };
    assert_eq!(
        loss("--data", &text),
        loss("--tokens", &dir.path().join("ids.json"))
    );
}

#[test]
fn the_text_in_json_is_the_text_that_is_printed_with_its_leading_space() {
    let dir = scratch();
    let (text_file, path) = (
        dir.path().join("text.txt"),
        dir.path().join("tokenizer.json"),
    );
    fs::write(&text_file, text()).expect("writable");
    fs::write(&path, tokenizer(&["</s>"])).expect("writable");
    let out = dir.path().join("run");
    let keys = [
        format!("data.paths=[\"{}\"]", text_file.display()),
        format!(
            "data.tokenizer={{kind=\"file\",path=\"{}\"}}",
            path.display()
        ),
    ];
    let keys: [&str; 5] = [
        &keys[0],
        &keys[1],
        "train.seq=8",
        "train.steps=1",
        "schedule.warmup=0",
    ];
    assert_ok(&smoke_with(&out, &keys));
    let path = out.display().to_string();
    let mut spaced = 0;
    for seed in ["0", "1", "2"] {
        let args = [
            "generate",
            &path,
            "--prompt",
            "the",
            "--max-tokens",
            "3",
            "--temperature",
            "1",
            "--device",
            "flex",
            "--seed",
            seed,
        ];
        let (plain, json) = (
            run(args.iter().chain(&["--quiet"])),
            run(args.iter().chain(&["--json"])),
        );
        assert_ok(&plain);
        assert_ok(&json);
        let json = json.json();
        let text = json["text"].as_str().expect("a text");
        assert_eq!(plain.stdout, format!("{text}\n"));
        spaced += usize::from(text.starts_with(' '));
    }
    assert!(spaced > 0, "a word begins with its space");
}
