//! Tests imports, generations and exports by the program.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use super::{Golden, STACKS, WHOLE_STACK, ouro, stack};
use crate::harness::{Ended, assert_ok, refused, run, scratch, smoke_with};

/// Imports a folder. Returns the run directory and the output.
fn imported(folder: &Path) -> (TempDir, PathBuf, Ended) {
    let dir = scratch();
    let out = dir.path().join("run");
    let ended = run([
        "import".as_ref(),
        folder.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ]);
    assert_ok(&ended);
    (dir, out, ended)
}

/// Copies a folder and changes its configuration.
fn copied(folder: &Path, dir: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    let source = dir.join("source");
    fs::create_dir(&source).expect("a folder");
    let bytes = fs::read(folder.join("config.json")).expect("a configuration");
    let mut config: Value = serde_json::from_slice(&bytes).expect("JSON");
    change(&mut config);
    fs::write(source.join("config.json"), config.to_string()).expect("writable");
    let weights = "model.safetensors";
    fs::copy(folder.join(weights), source.join(weights)).expect("copied");
    source
}

/// Continues the first six tokens of the golden tensor `tokens` greedily, with and without a cache,
/// and compares the result with the rest of the tensor.
fn generates(folder: &Path, tokens: &str, depth: usize) {
    let golden = Golden::open(&folder.join("io.safetensors"));
    let expected = golden.ids(tokens);
    // The golden continuation does not stop at the token that ends a text, so this token is removed
    // from the configuration.
    let endless = scratch();
    let source = copied(folder, endless.path(), |config| {
        config["eos_token_id"] = Value::Null;
    });
    let (dir, run_dir, _) = imported(&source);
    let prompt = dir.path().join("prompt.json");
    fs::write(&prompt, format!("{:?}", &expected[..6])).expect("a file");
    for further in [&[][..], &["--no-cache"]] {
        let (run_dir, prompt) = (run_dir.display().to_string(), prompt.display().to_string());
        let depth = depth.to_string();
        let mut args = vec!["generate", &run_dir, "--tokens", &prompt];
        args.extend(["--recurrence", &depth, "--max-tokens", "12"]);
        args.extend(["--device", "flex", "--json"]);
        args.extend(further);
        let ended = run(args);
        assert_ok(&ended);
        let tokens: Option<Vec<i64>> = ended.json()["tokens"]
            .as_array()
            .map(|all| all.iter().filter_map(Value::as_i64).collect());
        let what = format!("{} at {depth}, {further:?}", folder.display());
        assert_eq!(tokens.as_deref(), Some(&expected[6..]), "{what}");
    }
}

#[test]
fn greedy_tokens_of_all_stacks_are_their_librarys_with_and_without_a_cache() {
    for name in STACKS {
        generates(&stack(name), "greedy_prompt6", 1);
    }
}

#[test]
fn greedy_tokens_of_ouro_at_one_step_and_at_four_are_its_own() {
    generates(&ouro(), "greedy_prompt6_steps1", 1);
    generates(&ouro(), "greedy_prompt6_steps4", 4);
}

#[test]
fn ouros_exit_gate_is_left_out_and_told() {
    let (_dir, _, ended) = imported(&ouro());
    assert!(
        ended
            .stderr
            .contains("model.early_exit_gate.weight is left out"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("layers 0 + 3 + 0"), "{ended:?}");
    assert!(ended.stdout.contains("recurrence 4"), "{ended:?}");
}

#[test]
fn an_export_has_the_tensors_and_the_keys_of_what_was_imported() {
    for folder in STACKS.map(stack).into_iter().chain([ouro()]) {
        let (dir, run_dir, _) = imported(&folder);
        let there = dir.path().join("there");
        let ended = run([
            "export".as_ref(),
            run_dir.as_os_str(),
            "--out".as_ref(),
            there.as_os_str(),
        ]);
        assert_ok(&ended);
        let what = folder.display();
        let own = Golden::open(&there.join("model.safetensors"));
        let source = Golden::open(&folder.join("model.safetensors"));
        let names = |golden: &Golden| golden.floats.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&own), names(&source), "{what}");
        for (name, (shape, values)) in &source.floats {
            let (found_shape, found) = &own.floats[name];
            assert_eq!(found_shape, shape, "{what}: {name}");
            match name.contains("early_exit_gate") {
                // The export writes these tensors as zeros, with a warning.
                true => assert!(found.iter().all(|x| x.abs() < f32::MIN_POSITIVE)),
                false => assert!(found == values, "{what}: {name}"),
            }
        }
        let json = |dir: &Path| -> Value {
            let bytes = fs::read(dir.join("config.json")).expect("a configuration");
            serde_json::from_slice(&bytes).expect("JSON")
        };
        let (found, expected) = (json(&there), json(&folder));
        for (key, value) in expected.as_object().expect("an object") {
            // These keys are not read and change nothing, so the export does not contain them.
            let told = [
                "dtype",
                "initializer_range",
                "max_window_layers",
                "pretraining_tp",
                "sliding_window",
                "transformers_version",
                "use_cache",
            ];
            if !told.contains(&key.as_str()) && !value.is_null() {
                assert_eq!(&found[key], value, "{what}: {key}");
            }
        }
        let again = dir.path().join("again");
        let ended = run([
            "import".as_ref(),
            there.as_os_str(),
            "--out".as_ref(),
            again.as_os_str(),
        ]);
        assert_ok(&ended);
        let text = |run: &Path| fs::read_to_string(run.join("config.toml")).expect("a file");
        assert_eq!(text(&run_dir), text(&again), "{what}");
    }
}

#[test]
fn a_loop_that_tokens_never_enter_is_refused_with_its_key_and_what_to_do() {
    let cases: [(&[&str], &[&str]); 3] = [
        (
            &["model.injection=none"],
            &["model.injection", "model.state_init =", "\"input\""],
        ),
        (
            &[
                "model.injection=none",
                "model.state_init=input",
                "model.recurrence={mean=4,backprop_depth=2,sampler=\"fixed\"}",
            ],
            &["model.recurrence.backprop_depth", "2 of 4"],
        ),
        (&["model.d_head=7"], &["model.d_head", "even"]),
    ];
    for (keys, words) in cases {
        let dir = scratch();
        refused(&smoke_with(&dir.path().join("run"), keys), 2, words);
    }
    let keys = ["model.qk_norm=heads"];
    let ended = smoke_with(&scratch().path().join("run"), &keys);
    refused(&ended, 2, &["model.qk_norm", "head"]);
}

#[test]
fn a_start_that_is_not_there_is_not_chosen() {
    let dir = scratch();
    let out = dir.path().join("run");
    let keys = [&WHOLE_STACK[..], &["train.steps=2"]].concat();
    assert_ok(&smoke_with(&out, &keys));
    let out = out.display().to_string();
    let generate = ["generate", &out, "--prompt", "a", "--max-tokens", "3"];
    let zero = [&generate[..], &["--initial-state", "zero"]].concat();
    refused(&run(zero), 2, &["--initial-state", "state_init"]);
    let continuous = [&generate[..], &["--continuous"]].concat();
    refused(&run(continuous), 2, &["--continuous", "state_init"]);
    // Any depth is allowed. Adaptive exits are allowed too, because they start from the state of
    // the input.
    let deep = [&generate[..], &["--recurrence", "100", "--json"]].concat();
    let ended = run(deep);
    assert_ok(&ended);
    assert_eq!(ended.json()["iterations"][0], 100);
    let exit = [&generate[..], &["--exit", "latent-diff", "--json"]].concat();
    assert_ok(&run(exit));
    assert_ok(&run(["eval", &out, "--exit", "all", "--json"]));
    let trace = dir.path().join("trace.safetensors").display().to_string();
    let ended = run([
        "trace",
        &out,
        "--prompt",
        "ab",
        "--recurrence",
        "100",
        "--last-only",
        "--out",
        &trace,
    ]);
    assert_ok(&ended);
    let traced = Golden::open(Path::new(&trace));
    assert!(traced.floats.contains_key("logits.100"));
    assert_eq!(traced.floats.len(), 3);
}

#[test]
fn what_a_family_has_and_this_program_has_not_is_refused_by_its_key() {
    for (folder, key, value, word) in [
        (
            stack("llama"),
            "attention_bias",
            Value::from(true),
            "attention_bias",
        ),
        (
            stack("llama"),
            "hidden_act",
            Value::from("gelu"),
            "hidden_act",
        ),
        (
            stack("llama"),
            "rope_scaling",
            serde_json::json!({"rope_type": "yarn", "factor": 4.0}),
            "\"yarn\"",
        ),
        (
            stack("qwen3"),
            "layer_types",
            serde_json::json!(["full_attention", "sliding_attention"]),
            "layer_types",
        ),
        (
            ouro(),
            "total_ut_steps",
            Value::Null,
            "total_ut_steps is missing",
        ),
        (
            ouro(),
            "total_ut_steps",
            Value::from(65),
            "1 to 64, found 65",
        ),
    ] {
        let dir = scratch();
        let source = copied(&folder, dir.path(), |config| config[key] = value);
        let ended = run([
            "import".as_ref(),
            source.as_os_str(),
            "--out".as_ref(),
            dir.path().join("run").as_os_str(),
        ]);
        refused(&ended, 4, &["config.json", word]);
    }
}
