//! From the reference's layout and back to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rondo_checkpoint::{DType, NamedTensor, TensorFile};
use serde_json::{Value, json};

use crate::harness::{Ended, assert_ok, root, run, scratch, smoke};

/// Tensors of one file by name.
type Tensors = BTreeMap<String, (DType, Vec<usize>, Vec<u8>)>;

/// Does something to them.
type Change<'a> = &'a dyn Fn(&mut Tensors);

fn golden() -> PathBuf {
    root().join("tests/golden/raven-tiny")
}

fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).expect("a tensor file");
    let file = TensorFile::parse(&bytes).expect("a whole tensor file");
    file.into_tensors()
        .into_iter()
        .map(|tensor| {
            (
                tensor.name,
                (tensor.dtype, tensor.shape, tensor.bytes.into_owned()),
            )
        })
        .collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let named = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| NamedTensor {
            name: name.clone(),
            dtype: *dtype,
            shape: shape.clone(),
            bytes: bytes.as_slice().into(),
        });
    let file = TensorFile::new(named, BTreeMap::new()).expect("tensors");
    fs::write(path, file.to_bytes().expect("bytes")).expect("writable");
}

/// A copy of the golden folder, its tensors and its configuration changed.
fn altered(
    dir: &Path,
    tensors: impl FnOnce(&mut Tensors),
    config: impl FnOnce(&mut Value),
) -> PathBuf {
    let folder = dir.join("source");
    fs::create_dir_all(&folder).expect("a folder");
    let mut all = read(&golden().join("model.safetensors"));
    tensors(&mut all);
    write(&folder.join("model.safetensors"), &all);
    let text = fs::read(golden().join("config.json")).expect("a configuration");
    let mut value = serde_json::from_slice(&text).expect("JSON");
    config(&mut value);
    fs::write(folder.join("config.json"), value.to_string()).expect("writable");
    folder
}

fn import(from: &Path, out: &Path) -> Ended {
    run([
        "import".as_ref(),
        from.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ])
}

fn export(from: &Path, out: &Path, further: &[&str]) -> Ended {
    let (from, out) = (from.display().to_string(), out.display().to_string());
    let mut args = vec!["export", &from, "--out", &out];
    args.extend(further);
    run(args)
}

fn weights(run: &Path, step: u64) -> Vec<u8> {
    let path = format!("checkpoints/step-{step:08}/model.safetensors");
    fs::read(run.join(path)).expect("weights")
}

/// Asserts one message with these parts, the exit code, and that `dir` holds `entries` and no more.
#[track_caller]
fn refused(ended: &Ended, code: i32, parts: &[&str], dir: &Path, entries: usize) {
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.stderr.matches("error:").count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    for part in parts {
        assert!(
            ended.stderr.contains(part),
            "{part} is missing in {ended:?}"
        );
    }
    let left: Vec<_> = fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left.len(), entries, "{left:?}");
}

#[test]
fn an_imported_model_evaluates_on_token_files() {
    let dir = scratch();
    let out = dir.path().join("runs/raven");
    let ended = import(&golden(), &out);
    assert_ok(&ended);
    assert!(
        ended.stdout.contains("218,688 parameters, stored as f32"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("warning"), "{ended:?}");
    let tokens = golden().join("io.safetensors").display().to_string();
    let path = out.display().to_string();
    let eval = ["eval", &path, "--device", "flex", "--recurrence", "1,8"];
    let ended = run(eval.iter().chain(&["--tokens", &tokens, "--json"]));
    assert_ok(&ended);
    let found = ended.json();
    assert_eq!(found["runs"][0]["step"], 0);
    assert_eq!(found["runs"][0]["depths"][1]["recurrence"], 8);

    let ended = run(eval);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.stderr.contains("--tokens") && !ended.stderr.contains("--data"),
        "{ended:?}"
    );
    let ended = run(eval.iter().chain(&["--data", "README.md"]));
    assert_eq!(ended.code, 2, "{ended:?}");
    let config = out.join("config.toml").display().to_string();
    let ended = run(["--config", &config, "--device", "flex"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.stderr.contains(&format!("[init] from = \"{path}\"")),
        "{ended:?}"
    );
    let ended = run(eval.iter().chain(&["--checkpoint", "best"]));
    assert_eq!(ended.code, 4, "{ended:?}");
}

#[test]
fn import_export_and_import_are_bitwise_the_same_and_the_export_is_the_source() {
    let dir = scratch();
    let (first, there, second) = (
        dir.path().join("first"),
        dir.path().join("there"),
        dir.path().join("second"),
    );
    assert_ok(&import(&golden(), &first));
    assert_ok(&export(&first, &there, &[]));
    assert_ok(&import(&there, &second));
    assert!(weights(&first, 0) == weights(&second, 0));
    let text = |run: &Path| fs::read_to_string(run.join("config.toml")).expect("a configuration");
    assert_eq!(text(&first), text(&second));
    let exported = read(&there.join("model.safetensors"));
    assert!(exported == read(&golden().join("model.safetensors")));

    let json = |path: PathBuf| -> Value {
        serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
    };
    let (ours, theirs) = (
        json(there.join("config.json")),
        json(golden().join("config.json")),
    );
    for (key, value) in theirs.as_object().expect("an object") {
        // How the size of the vocabulary was found is not kept.
        if key != "padding_multiple" {
            assert_eq!(&ours[key], value, "{key}");
        }
    }
}

#[test]
fn shards_give_what_one_file_gives() {
    let dir = scratch();
    let source = altered(dir.path(), |_| {}, |_| {});
    let all = read(&source.join("model.safetensors"));
    fs::remove_file(source.join("model.safetensors")).expect("a file");
    let mut shards = [Tensors::new(), Tensors::new()];
    let mut places = BTreeMap::new();
    for (i, (name, tensor)) in all.into_iter().enumerate() {
        places.insert(name.clone(), format!("model-{}.safetensors", i % 2));
        shards[i % 2].insert(name, tensor);
    }
    for (i, shard) in shards.iter().enumerate() {
        write(&source.join(format!("model-{i}.safetensors")), shard);
    }
    let index = source.join("model.safetensors.index.json");
    let list = |places: &BTreeMap<String, String>| {
        let text = json!({"metadata": {"total_size": 1}, "weight_map": places}).to_string();
        fs::write(&index, text).expect("writable");
    };
    list(&places);
    let (whole, sharded) = (dir.path().join("whole"), dir.path().join("sharded"));
    assert_ok(&import(&golden(), &whole));
    assert_ok(&import(&source, &sharded));
    assert!(weights(&whole, 0) == weights(&sharded, 0));

    let out = dir.path().join("out");
    let check = |change: &dyn Fn(&mut BTreeMap<String, String>), parts: &[&str]| {
        let mut changed = places.clone();
        change(&mut changed);
        list(&changed);
        refused(&import(&source, &out), 4, parts, dir.path(), 3);
    };
    let norm = "transformer.ln_f.weight";
    let place = |places: &mut BTreeMap<String, String>, shard: &str| {
        places.insert(norm.to_owned(), shard.to_owned());
    };
    check(
        &|places| drop(places.remove(norm)),
        &["index.json", norm, "is not listed"],
    );
    check(
        &|places| place(places, "model-7.safetensors"),
        &["model-7.safetensors"],
    );
    check(
        &|places| place(places, "../model-0.safetensors"),
        &["index.json", "does not name"],
    );
    let other = |places: &mut BTreeMap<String, String>| {
        let swapped = if places[norm] == "model-0.safetensors" {
            "1"
        } else {
            "0"
        };
        place(places, &format!("model-{swapped}.safetensors"));
    };
    check(&other, &["index.json", norm]);
    check(
        &|places| drop(places.insert("ghost".to_owned(), "model-0.safetensors".to_owned())),
        &["index.json", "ghost is not in model-0.safetensors"],
    );
    fs::write(&index, "{\"weight_map\": 3}").expect("writable");
    refused(&import(&source, &out), 4, &["index.json"], dir.path(), 3);
}

#[test]
fn sixteen_bits_import_exactly_and_come_back_from_an_export_of_their_type() {
    for (dtype, name, one) in [
        (DType::BF16, "bf16", 0x3f80_u16),
        (DType::F16, "f16", 0x3c00),
    ] {
        let dir = scratch();
        let halve = |tensors: &mut Tensors| {
            for (number, (kind, _, bytes)) in tensors.values_mut().enumerate() {
                let count = bytes.len() / 4;
                // 1 and the next numbers, another stretch of them in each tensor.
                let bits = (0..count).map(|i| one + ((i + 31 * number) % 90) as u16);
                (*kind, *bytes) = (dtype, bits.flat_map(u16::to_le_bytes).collect());
            }
        };
        let source = altered(dir.path(), halve, |_| {});
        let (first, there) = (dir.path().join("first"), dir.path().join("there"));
        let ended = import(&source, &first);
        assert_ok(&ended);
        assert!(
            ended.stdout.contains(&format!("stored as {name}")),
            "{ended:?}"
        );
        let norm = read(&first.join("checkpoints/step-00000000/model.safetensors"));
        let (kind, _, bytes) = &norm["norm.scale"];
        assert_eq!(*kind, DType::F32);
        let number = read(&source.join("model.safetensors"))
            .keys()
            .position(|name| name == "transformer.ln_f.weight")
            .expect("the norm") as f32;
        let places = 2_f32.powi(if dtype == DType::BF16 { -7 } else { -10 });
        let first_value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let expected = 1.0 + (31.0 * number) % 90.0 * places;
        assert!(
            (first_value - expected).abs() < 1e-9,
            "{first_value} {expected}"
        );
        assert_ok(&export(&first, &there, &["--dtype", name]));
        let (exported, given) = (
            read(&there.join("model.safetensors")),
            read(&source.join("model.safetensors")),
        );
        assert!(exported == given);
    }
}

#[test]
fn a_tied_head_and_rotary_tables_are_dropped_and_an_untied_head_is_kept() {
    let dir = scratch();
    let (plain, derived) = (dir.path().join("plain"), dir.path().join("derived"));
    assert_ok(&import(&golden(), &plain));
    let add = |tensors: &mut Tensors| {
        let embedding = tensors["transformer.wte.weight"].clone();
        tensors.insert("lm_head.weight".to_owned(), embedding);
        let table = (DType::F32, vec![1, 128, 1, 8, 2], vec![0; 8192]);
        tensors.insert("freqs_cis".to_owned(), table);
    };
    let source = altered(dir.path(), add, |_| {});
    assert_ok(&import(&source, &derived));
    assert!(weights(&plain, 0) == weights(&derived, 0));

    let differ = |tensors: &mut Tensors| {
        add(tensors);
        tensors.get_mut("lm_head.weight").expect("just added").2[0] ^= 1;
    };
    altered(dir.path(), differ, |_| {});
    let out = dir.path().join("out");
    refused(
        &import(&source, &out),
        4,
        &["lm_head.weight", "tie_embeddings"],
        dir.path(),
        3,
    );
    altered(dir.path(), differ, |config| {
        config["tie_embeddings"] = json!(false);
    });
    assert_ok(&import(&source, &out));
    let there = dir.path().join("there");
    assert_ok(&export(&out, &there, &[]));
    let head = |folder: &Path| read(&folder.join("model.safetensors"))["lm_head.weight"].clone();
    assert!(head(&there) == head(&source));
}

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
        |config| config["model_type"] = json!("llama"),
    );
    refused(
        &import(&source, &out),
        4,
        &["config.json", "model_type", "llama"],
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
fn unknown_keys_are_warned_about_by_name_and_harmless_ones_are_not() {
    let dir = scratch();
    let source = altered(
        dir.path(),
        |_| {},
        |config| {
            config["transformers_version"] = json!("4.47.1");
            config["test_time_noise"] = json!(0);
            config["eos_token_id"] = json!(3);
            config["warp_factor"] = json!(9);
        },
    );
    let ended = import(&source, &dir.path().join("run"));
    assert_ok(&ended);
    assert_eq!(ended.stderr.matches("warning").count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("warp_factor"), "{ended:?}");
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

#[test]
fn a_trained_run_goes_there_and_back_with_its_tokenizer() {
    let dir = scratch();
    let (trained, there, back) = (
        dir.path().join("trained"),
        dir.path().join("there"),
        dir.path().join("back"),
    );
    assert_ok(&smoke(&trained, &[]));
    assert_ok(&export(&trained, &there, &["--checkpoint", "10"]));
    let ended = import(&there, &back);
    assert_ok(&ended);
    assert!(ended.stdout.contains("taken along"), "{ended:?}");
    assert!(weights(&trained, 10) == weights(&back, 0));
    let file = |folder: &Path, name: &str| fs::read(folder.join(name)).expect("a file");
    for folder in [&there, &back] {
        assert_eq!(
            file(folder, "tokenizer.json"),
            file(&trained, "tokenizer.json")
        );
    }
    let beside: Value =
        serde_json::from_slice(&file(&there, "tokenizer_config.json")).expect("JSON");
    assert_eq!(beside["eos_token"], "<|endoftext|>");
    assert_eq!(beside["tokenizer_class"], "PreTrainedTokenizerFast");

    // The same text through both tokenizers in windows that both models see whole.
    let text = dir.path().join("text.txt");
    fs::write(&text, "Four score and seven years: é猫").expect("writable");
    let text = text.display().to_string();
    let losses = |run_dir: &Path, checkpoint: &str| {
        let path = run_dir.display().to_string();
        let ended = run([
            "eval",
            &path,
            "--device",
            "flex",
            "--data",
            &text,
            "--max-tokens",
            "32",
            "--recurrence",
            "1,4",
            "--checkpoint",
            checkpoint,
            "--json",
        ]);
        assert_ok(&ended);
        ended.json()["runs"][0]["depths"].clone()
    };
    assert_eq!(losses(&trained, "10"), losses(&back, "0"));

    let tuned = dir.path().join("tuned");
    let from = format!("init.from={}", back.display());
    assert_ok(&smoke(
        &tuned,
        &[
            "--set",
            &from,
            "--set",
            "train.steps=1",
            "--set",
            "schedule.warmup=0",
        ],
    ));

    // A run of before tokenizers were kept finds its own in the corpus.
    fs::remove_file(trained.join("tokenizer.json")).expect("a file");
    assert_eq!(losses(&trained, "10"), losses(&back, "0"));
    assert_ok(&smoke(&trained, &["--set", "train.steps=21"]));
    assert_eq!(
        file(&trained, "tokenizer.json"),
        file(&back, "tokenizer.json")
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
    // Words without an end of text: taken along, with a warning.
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

#[test]
fn a_factor_of_one_on_embeddings_and_another_initial_state_come_back() {
    let dir = scratch();
    let (trained, there, back) = (
        dir.path().join("trained"),
        dir.path().join("there"),
        dir.path().join("back"),
    );
    let further = [
        "--set",
        "model.init.scheme=small",
        "--set",
        "model.state_init=zero",
        "--set",
        "train.steps=1",
        "--set",
        "schedule.warmup=0",
    ];
    assert_ok(&smoke(&trained, &further));
    let ended = export(&trained, &there, &[]);
    assert_ok(&ended);
    assert!(
        ended.stderr.contains("model.state_init is zero"),
        "{ended:?}"
    );
    assert_ok(&import(&there, &back));
    let text = fs::read_to_string(back.join("config.toml")).expect("a configuration");
    assert!(
        text.contains("scheme = \"small\"") && text.contains("state_init = \"zero\""),
        "{text}"
    );
}
