//! Tests imports and exports that are refused: every reason is reported, and no files are left.

use std::fs;

use rondo_files::DType;
use serde_json::json;

use super::{Change, Tensors, altered, export, golden, import, read, refused, weights};
use crate::harness::{assert_ok, run, scratch, smoke};

#[test]
fn every_tensor_that_does_not_fit_is_named_and_nothing_is_left() {
    let norm = "transformer.ln_f.weight";
    let f32s = |count: usize| vec![0_u8; 4 * count];
    let not_finite = |value: f32| {
        move |tensors: &mut Tensors| {
            let bytes = &mut tensors
                .get_mut("transformer.coda.0.mlp.fc.weight")
                .expect("there")
                .2;
            bytes[20..24].copy_from_slice(&value.to_le_bytes());
        }
    };
    let changes: [(Change<'_>, &[&str]); 6] = [
        (
            &|tensors| {
                tensors.remove(norm);
                tensors.insert("extra".to_owned(), (DType::F32, vec![3], f32s(3)));
            },
            &[
                "model.safetensors: tensor transformer.ln_f.weight [64] is missing",
                "extra [3] is unexpected",
            ],
        ),
        (
            &|tensors| drop(tensors.insert(norm.to_owned(), (DType::F32, vec![32], f32s(32)))),
            &["model.safetensors: tensor transformer.ln_f.weight must be [64], is [32]"],
        ),
        (
            &|tensors| drop(tensors.insert(norm.to_owned(), (DType::I32, vec![64], f32s(64)))),
            &["transformer.ln_f.weight must be F32, BF16 or F16, is I32"],
        ),
        (
            &|tensors| {
                let bias = (DType::F32, vec![64], f32s(64));
                tensors.insert("transformer.adapter.bias".to_owned(), bias);
            },
            &["transformer.adapter.bias [64] is unexpected"],
        ),
        (
            &not_finite(f32::NAN),
            &["model.safetensors: tensor transformer.coda.0.mlp.fc.weight has NaN at element 5"],
        ),
        (
            &not_finite(f32::INFINITY),
            &["transformer.coda.0.mlp.fc.weight has inf at element 5"],
        ),
    ];
    for (change, parts) in changes {
        let dir = scratch();
        let source = altered(dir.path(), change, |_| {});
        refused(
            &import(&source, &dir.path().join("deep/run")),
            4,
            parts,
            dir.path(),
            1,
        );
    }
}

#[test]
fn keys_that_cannot_be_represented_are_listed_with_their_tensors() {
    let dir = scratch();
    let out = dir.path().join("run");
    let source = altered(
        dir.path(),
        |tensors| drop(tensors.remove("transformer.ln_f.weight")),
        |config| {
            config["nonlin_name"] = json!("GELU");
            config["injection_type"] = json!("add");
            config["bias"] = json!(true);
        },
    );
    let parts = [
        "config.json: nonlin_name",
        "injection_type",
        "bias is true",
        "transformer.ln_f.weight",
    ];
    refused(&import(&source, &out), 4, &parts, dir.path(), 1);
    altered(
        dir.path(),
        |_| {},
        |config| config["model_type"] = json!("gpt2"),
    );
    refused(
        &import(&source, &out),
        4,
        &["config.json", "model_type", "gpt2"],
        dir.path(),
        1,
    );
    altered(
        dir.path(),
        |_| {},
        |config| drop(config.as_object_mut().map(|map| map.remove("n_embd"))),
    );
    refused(
        &import(&source, &out),
        4,
        &["config.json: n_embd is missing"],
        dir.path(),
        1,
    );
    for text in ["", "[]", "{\"model_type\": \"huginn_raven\"", "\u{0}"] {
        fs::write(source.join("config.json"), text).expect("writable");
        refused(&import(&source, &out), 4, &["config.json"], dir.path(), 1);
    }
    fs::remove_file(source.join("config.json")).expect("a file");
    refused(&import(&source, &out), 4, &["config.json"], dir.path(), 1);
    refused(
        &import(&dir.path().join("absent"), &out),
        4,
        &["absent"],
        dir.path(),
        1,
    );
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let dir = scratch();
    let source = altered(dir.path(), |_| {}, |_| {});
    let path = source.join("model.safetensors");
    let bytes = fs::read(&path).expect("a file");
    for cut in [0, 7, 8, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..cut]).expect("writable");
        let ended = import(&source, &dir.path().join("run"));
        refused(
            &ended,
            4,
            &["model.safetensors", "wrong size"],
            dir.path(),
            1,
        );
    }
    let mut broken = bytes;
    broken[8] = b'!';
    fs::write(&path, broken).expect("writable");
    let ended = import(&source, &dir.path().join("run"));
    refused(&ended, 4, &["model.safetensors", "header"], dir.path(), 1);
    fs::remove_file(path).expect("a file");
    refused(
        &import(&source, &dir.path().join("run")),
        4,
        &["model.safetensors"],
        dir.path(),
        1,
    );
}

#[test]
fn a_directory_that_holds_something_is_replaced_only_where_asked_to() {
    let dir = scratch();
    let out = dir.path().join("run");
    fs::create_dir(&out).expect("a folder");
    fs::write(out.join("thesis.tex"), "years of work").expect("writable");
    refused(&import(&golden(), &out), 2, &["--overwrite"], dir.path(), 1);
    let golden = golden().display().to_string();
    let path = out.display().to_string();
    assert_ok(&run(["import", &golden, "--out", &path, "--overwrite"]));
    assert!(!out.join("thesis.tex").exists());
    let before = weights(&out, 0);
    let elsewhere = scratch();
    let wrong = altered(
        elsewhere.path(),
        |tensors| {
            let embedding = tensors.get_mut("transformer.wte.weight").expect("there");
            embedding.2[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        },
        |_| {},
    );
    let wrong = wrong.display().to_string();
    let ended = run(["import", &wrong, "--out", &path, "--overwrite"]);
    refused(
        &ended,
        4,
        &["transformer.wte.weight has NaN"],
        dir.path(),
        1,
    );
    assert!(
        weights(&out, 0) == before,
        "a failed import changes nothing"
    );
    let ended = run(["export", &path, "--out", &path, "--overwrite"]);
    refused(&ended, 2, &["read from"], dir.path(), 1);
    fs::create_dir(dir.path().join("empty")).expect("a folder");
    assert_ok(&export(&out, &dir.path().join("empty"), &[]));
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2);
}

#[cfg(unix)]
#[test]
fn a_linked_run_is_replaced_behind_its_link() {
    let dir = scratch();
    let (disk, link) = (dir.path().join("disk"), dir.path().join("link"));
    assert_ok(&import(&golden(), &disk));
    fs::write(disk.join("notes.txt"), "of the old run").expect("writable");
    std::os::unix::fs::symlink("disk", &link).expect("a link");
    refused(
        &import(&golden(), &link),
        2,
        &["--overwrite"],
        dir.path(),
        2,
    );
    let (golden, path) = (golden().display().to_string(), link.display().to_string());
    assert_ok(&run(["import", &golden, "--out", &path, "--overwrite"]));
    assert!(link.is_symlink());
    assert!(!disk.join("notes.txt").exists() && disk.join("config.toml").is_file());
    // An export behaves in the same way. A link whose target does not exist is refused.
    let there = dir.path().join("there");
    assert_ok(&export(&disk, &there, &[]));
    fs::remove_file(&link).expect("a link");
    std::os::unix::fs::symlink("there", &link).expect("a link");
    assert_ok(&export(&disk, &link, &["--overwrite"]));
    assert!(link.is_symlink() && there.join("config.json").is_file());
    fs::remove_dir_all(&there).expect("a folder");
    refused(
        &export(&disk, &link, &["--overwrite"]),
        2,
        &["not there"],
        dir.path(),
        2,
    );
}

#[test]
fn a_tokenizer_that_does_not_fit_or_cannot_be_read_is_a_data_error() {
    let dir = scratch();
    let source = altered(dir.path(), |_| {}, |_| {});
    let (trained, out) = (dir.path().join("trained"), dir.path().join("out"));
    assert_ok(&smoke(
        &trained,
        &["--set", "train.steps=1", "--set", "schedule.warmup=0"],
    ));
    let tokenizer = source.join("tokenizer.json");
    fs::copy(trained.join("tokenizer.json"), &tokenizer).expect("a file");
    let parts = ["tokenizer.json", "257 tokens", "128"];
    refused(&import(&source, &out), 3, &parts, dir.path(), 2);
    fs::write(&tokenizer, "{\"model\": 7}").expect("writable");
    refused(
        &import(&source, &out),
        3,
        &["tokenizer.json"],
        dir.path(),
        2,
    );
    // A tokenizer of words that has no end of text is copied, with a warning.
    let words = json!({
        "version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": {"a": 0, "?": 1}, "unk_token": "?"},
    });
    fs::write(&tokenizer, words.to_string()).expect("writable");
    let ended = import(&source, &out);
    assert_ok(&ended);
    assert!(ended.stderr.contains("no token ends a text"), "{ended:?}");
    assert_ok(&export(&out, &dir.path().join("there"), &[]));
}

#[test]
fn a_structure_without_a_place_in_the_layout_is_refused_with_every_reason() {
    for (settings, parts) in [
        (
            &["model.block=pre-norm", "model.qk_norm=true"][..],
            &["model.block is pre-norm", "model.qk_norm"][..],
        ),
        (
            &["model.injection=add", "model.norm.learned=false"],
            &["model.injection is add", "model.norm.learned is false"],
        ),
        (
            &["model.injection=gate", "model.n_kv_heads=1"],
            &["model.injection is gate", "model.n_kv_heads is 1"],
        ),
    ] {
        let dir = scratch();
        let (trained, there) = (dir.path().join("trained"), dir.path().join("there"));
        let mut further = vec!["--set", "train.steps=1", "--set", "schedule.warmup=0"];
        settings
            .iter()
            .for_each(|setting| further.extend(["--set", setting]));
        assert_ok(&smoke(&trained, &further));
        let ended = export(&trained, &there, &[]);
        refused(&ended, 4, parts, dir.path(), 1);
        assert!(ended.stderr.contains("--format rondo"), "{ended:?}");
        assert_ok(&export(&trained, &there, &["--format", "rondo"]));
        let ours = read(&trained.join("checkpoints/step-00000001/model.safetensors"));
        assert!(read(&there.join("model.safetensors")) == ours);
    }
}
