//! Import, export and training keep the same bits in both directions.

use std::fs;
use std::path::{Path, PathBuf};

use rondo_files::DType;
use serde_json::Value;

use super::{Tensors, altered, export, golden, import, parameters, read, refused, weights};
use crate::harness::{assert_ok, run, scratch, smoke};

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
    assert!(parameters(&there) == read(&golden().join("model.safetensors")));

    let json = |path: PathBuf| -> Value {
        serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
    };
    let (ours, theirs) = (
        json(there.join("config.json")),
        json(golden().join("config.json")),
    );
    for (key, value) in theirs.as_object().expect("an object") {
        // The export does not record how the size of the vocabulary was chosen.
        if key != "padding_multiple" {
            assert_eq!(&ours[key], value, "{key}");
        }
    }
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
                // The values are 1 and the next larger numbers. Each tensor has another range of
                // them.
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
        assert!(parameters(&there) == read(&source.join("model.safetensors")));
        // For every type, the reference saves the rotary tables as f32 of shape [1, context, 1,
        // d_head / 2, 2].
        let tables = read(&there.join("model.safetensors")).remove("freqs_cis");
        let (dtype, shape, bytes) = tables.expect("the rotary tables");
        assert_eq!((dtype, shape), (DType::F32, vec![1, 128, 1, 8, 2]));
        let (first, _) = bytes.as_chunks::<4>();
        let turned: Vec<f32> = first[16..18]
            .iter()
            .map(|four| f32::from_le_bytes(*four))
            .collect();
        assert!((turned[0] - 1_f32.cos()).abs() < 1e-6 && (turned[1] - 1_f32.sin()).abs() < 1e-6);
    }
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
    assert!(ended.stdout.contains("copied"), "{ended:?}");
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

    // The same text is evaluated with both tokenizers, in windows that fit both models.
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

    // A run of a version that did not store tokenizers finds its tokenizer in the corpus.
    fs::remove_file(trained.join("tokenizer.json")).expect("a file");
    assert_eq!(losses(&trained, "10"), losses(&back, "0"));
    assert_ok(&smoke(&trained, &["--set", "train.steps=21"]));
    assert_eq!(
        file(&trained, "tokenizer.json"),
        file(&back, "tokenizer.json")
    );
}

/// Trains the smoke model for one step with these keys.
fn trained(out: &Path, keys: &[&str]) {
    let mut further = vec!["--set", "train.steps=1", "--set", "schedule.warmup=0"];
    keys.iter().for_each(|key| further.extend(["--set", key]));
    assert_ok(&smoke(out, &further));
}

#[test]
fn another_initial_state_comes_back() {
    let dir = scratch();
    let (run, there, back) = (
        dir.path().join("trained"),
        dir.path().join("there"),
        dir.path().join("back"),
    );
    trained(&run, &["model.state_init=zero"]);
    let ended = export(&run, &there, &[]);
    assert_ok(&ended);
    assert!(
        ended.stderr.contains("model.state_init is zero"),
        "{ended:?}"
    );
    assert_ok(&import(&there, &back));
    let text = fs::read_to_string(back.join("config.toml")).expect("a configuration");
    assert!(text.contains("state_init = \"zero\""), "{text}");
}

#[test]
fn a_factor_of_one_on_embeddings_is_refused_with_a_tied_head_and_divided_out_without() {
    for scheme in ["scaled", "small"] {
        let dir = scratch();
        let (run, there, back) = (
            dir.path().join("trained"),
            dir.path().join("there"),
            dir.path().join("back"),
        );
        let scheme = format!("model.init.scheme={scheme}");
        trained(&run, &[&scheme]);
        let parts = ["model.init.scheme is", "model.tied_head", "--format rondo"];
        refused(&export(&run, &there, &[]), 4, &parts, dir.path(), 1);
        fs::remove_dir_all(&run).expect("a folder");

        trained(&run, &[&scheme, "model.tied_head=false"]);
        let ended = export(&run, &there, &[]);
        assert_ok(&ended);
        assert!(
            ended.stderr.contains("divided by the square root"),
            "{ended:?}"
        );
        let ended = import(&there, &back);
        assert_ok(&ended);
        assert!(!ended.stderr.contains("warning"), "{ended:?}");
        let text = fs::read_to_string(back.join("config.toml")).expect("a configuration");
        assert!(text.contains("scheme = \"takase\""), "{text}");
        let losses = |run_dir: &Path| {
            let ended = run_on_text(run_dir, dir.path());
            assert_ok(&ended);
            let depths = ended.json()["runs"][0]["depths"].clone();
            let depths = depths.as_array().expect("a list").clone();
            depths
                .iter()
                .map(|depth| depth["loss"].as_f64().expect("a loss"))
                .collect::<Vec<_>>()
        };
        let (ours, theirs) = (losses(&run), losses(&back));
        assert_eq!(ours.len(), 2);
        for (one, other) in ours.iter().zip(&theirs) {
            assert!((one - other).abs() < 1e-5, "{ours:?} {theirs:?}");
        }
    }
}

/// Evaluates a run on a text in one window, from zero states.
fn run_on_text(run_dir: &Path, dir: &Path) -> crate::harness::Ended {
    let text = dir.join("text.txt");
    fs::write(&text, "Four score and seven years ago: é猫").expect("writable");
    let (path, text) = (run_dir.display().to_string(), text.display().to_string());
    run([
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
        "--initial-state",
        "zero",
        "--json",
    ])
}

#[test]
fn weights_that_become_nothing_in_16_bits_are_counted_and_told() {
    let dir = scratch();
    // 1e-8 underflows in f16, but 3e-6 does not. 1e-41 underflows in bf16 too.
    let shrink = |tensors: &mut Tensors| {
        for (name, values) in [
            ("transformer.ln_f.weight", &[1e-8_f32, -2e-8, 3e-6][..]),
            ("transformer.wte.weight", &[1e-41, 0.0]),
        ] {
            let bytes = &mut tensors.get_mut(name).expect("there").2;
            for (value, place) in values.iter().zip(bytes.chunks_exact_mut(4)) {
                place.copy_from_slice(&value.to_le_bytes());
            }
        }
    };
    let source = altered(dir.path(), shrink, |_| {});
    let (run, there) = (dir.path().join("run"), dir.path().join("there"));
    assert_ok(&import(&source, &run));
    for (dtype, format, told) in [
        ("f16", "reference", Some("3 weights are 0 in f16")),
        ("f16", "rondo", Some("3 weights are 0 in f16")),
        ("bf16", "reference", Some("1 weight is 0 in bf16")),
        ("f32", "reference", None),
    ] {
        let ended = export(
            &run,
            &there,
            &["--dtype", dtype, "--format", format, "--overwrite"],
        );
        assert_ok(&ended);
        match told {
            Some(told) => assert!(ended.stderr.contains(told), "{dtype} {format}: {ended:?}"),
            None => assert!(!ended.stderr.contains("warning"), "{ended:?}"),
        }
    }
}
