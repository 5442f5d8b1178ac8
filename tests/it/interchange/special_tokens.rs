//! Tests the special tokens of imported models: their ids and files are kept unchanged, prompts may
//! contain their names, and generation stops at them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{altered, export, import};
use crate::harness::{self, Ended, assert_ok, run, scratch, smoke};

/// Files that Python reads together with a tokenizer. Each has a line that Rondo does not read.
const BESIDE: [(&str, &str); 4] = [
    (
        "tokenizer_config.json",
        r#"{"bos_token": "<|begin|>", "eos_token": {"content": "<|stop|>"}, "chat_template": "{{ x }}",
            "tokenizer_class": "PreTrainedTokenizerFast"}"#,
    ),
    ("special_tokens_map.json", r#"{"eos_token": "<|stop|>"}"#),
    (
        "chat_template.jinja",
        "{% for m in messages %}{{ m }}{% endfor %}",
    ),
    ("generation_config.json", r#"{"temperature": 0.7}"#),
];

/// Returns a tokenizer of 99 tokens: the printable ASCII characters, a space and four special
/// tokens. `<|begin|>` has the id 95 and begins a text.
fn tokenizer() -> Value {
    let letters = (33..127_u8).map(|byte| char::from(byte).to_string());
    let mut vocab: serde_json::Map<String, Value> = letters
        .chain(["Ġ".to_owned()])
        .zip((0..).map(Value::from))
        .collect();
    let mut added = Vec::new();
    for (id, name) in (95..).zip(["<|begin|>", "<|end_text|>", "<|stop|>", "<|pad|>"]) {
        vocab.insert(name.to_owned(), id.into());
        added.push(json!({
            "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }));
    }
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true,
    });
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": byte_level, "decoder": byte_level,
        "post_processor": {
            "type": "TemplateProcessing", "pair": [],
            "single": [{"SpecialToken": {"id": "<|begin|>", "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {
                "<|begin|>": {"id": "<|begin|>", "ids": [95], "tokens": ["<|begin|>"]},
            },
        },
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": vocab, "merges": []},
    })
}

/// Imports the golden model with this tokenizer, the files `beside` and the token ids `ids` into
/// `dir/run`.
fn imported(dir: &Path, beside: &[(&str, &str)], ids: &Value) -> (PathBuf, PathBuf) {
    let source = altered(
        dir,
        |_| {},
        |config| {
            for (key, value) in ids.as_object().expect("an object") {
                config[key] = value.clone();
            }
        },
    );
    fs::write(source.join("tokenizer.json"), tokenizer().to_string()).expect("writable");
    for (name, text) in beside {
        fs::write(source.join(name), text).expect("writable");
    }
    let out = dir.join("run");
    let ended = import(&source, &out);
    assert_ok(&ended);
    assert!(!ended.stderr.contains("warning"), "{ended:?}");
    (source, out)
}

fn generate(run_dir: &Path, further: &[&str]) -> Value {
    let ended = command("generate", run_dir, &[further, &["--json"]].concat());
    assert_ok(&ended);
    ended.json()
}

fn command(name: &str, run_dir: &Path, further: &[&str]) -> Ended {
    let path = run_dir.display().to_string();
    let mut args = vec![name, &path, "--device", "flex"];
    args.extend(further);
    run(args)
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

#[test]
fn ids_and_the_files_beside_a_tokenizer_go_through_unchanged() {
    for ids in [
        json!({"bos_token_id": 95, "eos_token_id": 97, "pad_token_id": 98}),
        json!({"eos_token_id": [97, 96], "sep_token_id": 5}),
        json!({}),
    ] {
        let dir = scratch();
        let (source, first) = imported(dir.path(), &BESIDE, &ids);
        let (there, second) = (dir.path().join("there"), dir.path().join("second"));
        assert_ok(&export(&first, &there, &[]));
        let config = json_of(&there.join("config.json"));
        for key in [
            "bos_token_id",
            "eos_token_id",
            "pad_token_id",
            "sep_token_id",
        ] {
            assert_eq!(config.get(key), ids.get(key), "{key}");
        }
        let names = BESIDE.iter().map(|(name, _)| *name);
        for name in names.chain(["tokenizer.json"]) {
            let file = |folder: &Path| fs::read(folder.join(name)).expect(name);
            assert_eq!(file(&there), file(&source), "{name}");
        }
        assert_ok(&import(&there, &second));
        let special = |run: &Path| json_of(&run.join("special_tokens.json"));
        assert_eq!(special(&second), special(&first));
    }
}

#[test]
fn a_training_run_in_the_place_of_an_import_keeps_none_of_its_special_tokens() {
    let dir = scratch();
    let ids = json!({"eos_token_id": 97});
    let (_, out) = imported(dir.path(), &BESIDE, &ids);
    let further = [
        "--overwrite",
        "--set",
        "train.steps=1",
        "--set",
        "schedule.warmup=0",
    ];
    assert_ok(&smoke(&out, &further));
    for (name, _) in BESIDE {
        assert!(!out.join(name).exists(), "{name}");
    }
    assert!(!out.join("special_tokens.json").exists());
    let there = dir.path().join("there");
    assert_ok(&export(&out, &there, &[]));
    let config = json_of(&there.join("tokenizer_config.json"));
    assert_eq!(config["eos_token"], "<|endoftext|>");
    assert_eq!(json_of(&there.join("config.json"))["eos_token_id"], 256);
}

#[test]
fn generation_stops_at_every_token_that_the_model_names() {
    let plain = scratch();
    let (_, out) = imported(plain.path(), &[], &json!({}));
    let ask = [
        "--prompt",
        "Hi",
        "--max-tokens",
        "6",
        "--temperature",
        "3",
        "--seed",
        "1",
    ];
    let all = generate(&out, &ask);
    let tokens = all["tokens"].as_array().expect("a list").clone();
    assert_eq!(tokens.len(), 6, "{all}");
    // The third token is the first one that does not repeat an earlier token. Generation must reach
    // it.
    let third = &tokens[2];
    assert!(!tokens[..2].contains(third), "{tokens:?}");
    let unused = (0..95)
        .find(|id| !tokens.contains(&json!(id)))
        .expect("a letter");
    let generation = json!({"eos_token_id": [unused, third]}).to_string();
    for (beside, ids, length) in [
        (None, json!({"eos_token_id": third}), 3),
        (None, json!({"eos_token_id": [unused, third]}), 3),
        (None, json!({"eos_token_id": unused}), 6),
        (
            Some(generation.as_str()),
            json!({"eos_token_id": unused}),
            3,
        ),
        (Some(generation.as_str()), json!({}), 3),
    ] {
        let dir = scratch();
        let beside: Vec<_> = beside
            .iter()
            .map(|text| ("generation_config.json", *text))
            .collect();
        let (_, out) = imported(dir.path(), &beside, &ids);
        let found = generate(&out, &ask);
        assert_eq!(
            found["tokens"].as_array().map(Vec::len),
            Some(length),
            "{ids}"
        );
        let ended = match length {
            3 => "end of text",
            _ => "max tokens",
        };
        assert_eq!(found["ended"], ended);
    }
}

#[test]
fn a_prompt_of_an_imported_model_may_name_special_tokens_and_is_opened_once() {
    let dir = scratch();
    let (_, out) = imported(dir.path(), &BESIDE, &json!({}));
    let prompt = |further: &[&str]| {
        let found = generate(&out, &[&["--max-tokens", "1"], further].concat());
        let tokens = found["prompt_tokens"].as_array().expect("a list").iter();
        tokens.filter_map(Value::as_u64).collect::<Vec<_>>()
    };
    let (h, i) = (39, 72);
    assert_eq!(prompt(&["--prompt", "Hi"]), [95, h, i]);
    assert_eq!(prompt(&["--prompt", "<|begin|>Hi"]), [95, h, i]);
    assert_eq!(prompt(&["--prompt", "Hi<|stop|>"]), [95, h, i, 97]);
    assert_eq!(prompt(&["--prompt", "Hi", "--bos", "off"]), [h, i]);
    assert_eq!(prompt(&["--prompt", "<|stop|>", "--bos", "off"]), [97]);
    assert_eq!(
        prompt(&["--prompt", "<|stop|>", "--special", "off"]).len(),
        1 + 8
    );
    assert_eq!(prompt(&["--prompt", ""]), [95]);

    let trace = dir.path().join("trace.safetensors").display().to_string();
    let args = [
        "--prompt",
        "Hi<|stop|>",
        "--recurrence",
        "1",
        "--out",
        &trace,
        "--json",
    ];
    let ended = command("trace", &out, &args);
    assert_ok(&ended);
    assert_eq!(ended.json()["seq"], 4);

    // A text is evaluated as the same tokens that it would have as a prompt.
    let (text, ids) = (dir.path().join("text.txt"), dir.path().join("ids.json"));
    let loss = |flag: &str, path: &Path, further: &[&str]| {
        let path = path.display().to_string();
        let fixed = [flag, &path, "--recurrence", "4", "--json"];
        let ended = command("eval", &out, &[&fixed, further].concat());
        assert_ok(&ended);
        ended.json()["runs"][0]["depths"][0]["loss"].clone()
    };
    fs::write(&text, "Hi<|stop|>").expect("writable");
    fs::write(&ids, "[95, 39, 72, 97, 97]").expect("writable");
    let named = loss("--data", &text, &[]);
    assert_eq!(named, loss("--tokens", &ids, &[]));
    fs::write(&ids, "[39, 72, 97, 97]").expect("writable");
    assert_eq!(
        loss("--data", &text, &["--bos", "off"]),
        loss("--tokens", &ids, &[])
    );
    assert_ne!(loss("--data", &text, &["--special", "off"]), named);
}

#[test]
fn files_that_say_so_leave_special_tokens_text_and_the_models_id_can_open_one() {
    let dir = scratch();
    let split = [("tokenizer_config.json", r#"{"split_special_tokens": true}"#)];
    let (source, _) = imported(dir.path(), &split, &json!({}));
    let mut plain = tokenizer();
    plain["post_processor"] = Value::Null;
    fs::write(source.join("tokenizer.json"), plain.to_string()).expect("writable");
    let mut config = json_of(&source.join("config.json"));
    config["bos_token_id"] = 3.into();
    fs::write(source.join("config.json"), config.to_string()).expect("writable");
    let out = dir.path().join("again");
    assert_ok(&import(&source, &out));
    let count = |further: &[&str]| {
        let found = generate(
            &out,
            &[&["--prompt", "<|stop|>", "--max-tokens", "1"], further].concat(),
        );
        found["prompt_tokens"].as_array().map(Vec::len)
    };
    assert_eq!(count(&[]), Some(8));
    assert_eq!(count(&["--special", "on"]), Some(1));
    assert_eq!(count(&["--special", "on", "--bos", "on"]), Some(2));
}

#[test]
fn a_run_that_was_trained_here_reads_special_tokens_only_where_asked_to() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(
        &out,
        &["--set", "train.steps=1", "--set", "schedule.warmup=0"],
    ));
    let count = |further: &[&str]| {
        let found = generate(&out, &[&["--max-tokens", "1"], further].concat());
        found["prompt_tokens"].as_array().map(Vec::len)
    };
    assert_eq!(count(&["--prompt", "a<|endoftext|>"]), Some(14));
    assert_eq!(
        count(&["--prompt", "a<|endoftext|>", "--special", "on"]),
        Some(2)
    );
    let ids = dir.path().join("ids.json");
    fs::write(&ids, "[1, 2]").expect("writable");
    let ids = ids.display().to_string();
    for (name, args, part) in [
        ("generate", &["--prompt", "a", "--bos", "on"][..], "--bos"),
        (
            "generate",
            &["--tokens", &ids, "--special", "on"],
            "--special",
        ),
        ("eval", &["--special", "on"], "--data"),
        ("eval", &["--tokens", &ids, "--bos", "off"], "--bos"),
    ] {
        harness::refused(&command(name, &out, args), 2, &[part]);
    }
}

#[test]
fn ids_beyond_the_tokenizer_are_taken_where_the_model_has_them() {
    let dir = scratch();
    let (_, out) = imported(dir.path(), &BESIDE, &json!({}));
    let ids = dir.path().join("ids.json");
    fs::write(&ids, "[120, 39, 127, 72]").expect("writable");
    let (ids, figures) = (ids.display().to_string(), dir.path().join("figures"));
    let found = generate(
        &out,
        &["--tokens", &ids, "--max-tokens", "4", "--temperature", "1"],
    );
    let tokens = found["tokens"].as_array().expect("a list").iter();
    let tokens: Vec<u64> = tokens.filter_map(Value::as_u64).collect();
    assert!(
        !tokens.is_empty() && tokens.iter().all(|id| *id < 99),
        "{found}"
    );
    assert!(found["text"].is_string(), "{found}");
    let (trace, figures) = (
        dir.path().join("t.safetensors").display().to_string(),
        figures.display().to_string(),
    );
    let args = [
        "--tokens",
        &ids,
        "--recurrence",
        "2",
        "--out",
        &trace,
        "--figures",
        &figures,
    ];
    assert_ok(&command("trace", &out, &args));
    fs::write(dir.path().join("ids.json"), "[128]").expect("writable");
    harness::refused(&command("generate", &out, &["--tokens", &ids]), 3, &["128"]);
}
