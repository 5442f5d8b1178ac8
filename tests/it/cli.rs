//! Invalid input gives one clear message and the documented exit code, and nothing is written.

use std::fs;

use serde_json::Value;

use crate::harness::{Ended, assert_ok, refused, run, scratch, smoke};

#[test]
fn every_mistake_in_a_configuration_is_told_at_once_and_nothing_is_created() {
    let dir = scratch();
    let path = dir.path().join("wrong.toml");
    let text = "[model]\nd_modle = 64\nn_heads = \"four\"\n\n[train]\nsteps = 10\nseq = 16\nbatch = 0\n\n\
                [optimizer]\nkind = \"adan\"\n";
    fs::write(&path, text).expect("a file");
    let out = dir.path().join("run");
    let ended = run([
        "--config",
        &path.display().to_string(),
        "--out",
        &out.display().to_string(),
    ]);
    refused(
        &ended,
        2,
        &[
            "line 2",
            "d_modle",
            "did you mean `d_model`",
            "line 3",
            "n_heads",
            "line 8",
            "train.batch",
            "line 11",
            "adan",
        ],
    );
    assert!(!out.exists());
}

#[test]
fn values_out_of_range_are_told_with_their_lines() {
    let dir = scratch();
    let out = dir.path().join("run");
    let ended = smoke(
        &out,
        &[
            "--set",
            "model.recurrence.mean=65",
            "--set",
            "eval.recurrence=[0]",
        ],
    );
    refused(
        &ended,
        2,
        &[
            "model.recurrence.mean",
            "must be 1 to 64, found 65",
            "eval.recurrence",
        ],
    );
    assert!(!out.exists());
}

#[test]
fn missing_files_are_named() {
    let dir = scratch();
    refused(
        &run(["--config", "configs/absent.toml"]),
        2,
        &["configs/absent.toml"],
    );
    let out = dir.path().join("run");
    let ended = smoke(&out, &["--set", "data.paths=[\"absent.txt\"]"]);
    refused(&ended, 3, &["absent.txt"]);
    assert!(!out.exists());
    let run_dir = dir.path().display().to_string();
    refused(
        &run(["eval", &run_dir, "--device", "flex"]),
        2,
        &["not a run directory"],
    );
}

#[test]
fn a_device_that_is_not_there_is_answered_with_those_that_are() {
    let dir = scratch();
    let out = dir.path().join("run");
    let ended = smoke(&out, &["--device", "rocm"]);
    refused(&ended, 6, &["rocm", "flex 0"]);
    assert!(!out.exists());
}

#[test]
fn a_directory_that_is_not_a_run_is_left_alone() {
    let dir = scratch();
    fs::write(dir.path().join("thesis.tex"), "years of work").expect("a file");
    refused(&smoke(dir.path(), &[]), 2, &["not a run"]);
    assert!(dir.path().join("thesis.tex").exists());
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    assert_eq!(run(["--confg", "x"]).code, 2);
    assert_eq!(run(["eval"]).code, 2);
}

#[test]
fn devices_and_completions_print_on_standard_output() {
    let devices = run(["devices", "--json"]);
    assert_ok(&devices);
    let kinds = devices.json();
    assert!(
        kinds["devices"]
            .as_array()
            .is_some_and(|list| list.iter().any(|d| d["kind"] == "flex"))
    );
    let script = run(["completions", "bash"]);
    assert_ok(&script);
    assert!(script.stdout.contains("selftest"));
}

#[test]
fn quiet_training_prints_nothing() {
    let dir = scratch();
    let ended = smoke(
        &dir.path().join("run"),
        &[
            "--quiet",
            "--set",
            "train.steps=2",
            "--set",
            "schedule.warmup=1",
        ],
    );
    assert_ok(&ended);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
}

#[test]
fn plain_output_has_no_escape_codes_and_fits_eighty_columns() {
    let dir = scratch();
    let ended = smoke(&dir.path().join("run"), &[]);
    assert_ok(&ended);
    assert!(!ended.stderr.contains('\u{1b}'), "{ended:?}");
    let path = dir.path().display().to_string();
    let wide = ended
        .stderr
        .lines()
        .find(|line| line.chars().count() > 80 && !line.contains(&path));
    assert_eq!(wide, None);
}

/// Runs `trainer bench` with a shape that needs almost no time.
fn tiny_bench(further: &[&str]) -> Ended {
    let keys = [
        "model.d_model=16",
        "model.n_heads=2",
        "model.d_ff=24",
        "model.vocab_size=32",
        "model.recurrence.mean=2",
        "model.recurrence.backprop_depth=1",
        "train.batch=2",
        "train.seq=8",
    ];
    let mut args = vec!["bench", "--device", "flex", "--warmup", "0", "--steps", "1"];
    args.extend(keys.iter().flat_map(|key| ["--set", key]));
    args.extend(further);
    run(args)
}

/// Returns one field of every row.
fn column<'a>(rows: &'a Value, field: &str) -> Vec<&'a str> {
    let rows = rows.as_array().expect("rows");
    rows.iter()
        .map(|row| row[field].as_str().expect("a text"))
        .collect()
}

#[test]
fn every_bench_names_its_memory_and_a_step_what_was_there_before_the_model() {
    for what in ["step", "nodes", "growth"] {
        let ended = tiny_bench(&["--what", what, "--json"]);
        assert_ok(&ended);
        let found = ended.json();
        assert_eq!(found["what"], what);
        let keys = [
            "config",
            "device",
            "tokens_per_second",
            "spread",
            "flops_per_second",
            "matmul_peak_flops_per_second",
            "peak_memory_bytes",
        ];
        for key in keys {
            assert!(found.get(key).is_some(), "{key} is missing in {found}");
        }
        if let (Some(peak), Some(idle)) = (
            found["peak_memory_bytes"].as_u64(),
            found["idle_memory_bytes"].as_u64(),
        ) {
            assert!(idle <= peak, "{found}");
        }
    }
}

#[test]
fn every_node_is_timed_beside_its_composition() {
    let ended = tiny_bench(&["--what", "nodes", "--json"]);
    assert_ok(&ended);
    let nodes = &ended.json()["nodes"];
    let names = [
        "attention",
        "MLP",
        "norm",
        "injection",
        "head with loss",
        "update",
    ];
    assert_eq!(column(nodes, "node"), names);
    for node in nodes.as_array().expect("rows") {
        let update = node["node"] == "update";
        for field in [
            "forward_seconds",
            "backward_seconds",
            "composed_forward_seconds",
            "composed_backward_seconds",
            "ratio",
        ] {
            let missing = update && field.contains("backward");
            assert_eq!(node[field].is_null(), missing, "{field} of {node}");
            assert!(missing || node[field].as_f64() > Some(0.0), "{node}");
        }
    }
    let other = ["--what", "nodes", "--set", "model.injection=add"];
    let shown = tiny_bench(&other);
    assert_ok(&shown);
    assert!(shown.stdout.contains("norm"), "{shown:?}");
    assert!(!shown.stdout.contains("injection"), "{shown:?}");
}

#[test]
fn growth_starts_at_the_configuration_and_says_what_to_expect() {
    let ended = tiny_bench(&["--what", "growth", "--grow", "seq,n", "--json"]);
    assert_ok(&ended);
    let rows = &ended.json()["growth"];
    let axes = ["seq", "seq", "seq", "n", "n", "n", "n"];
    assert_eq!(column(rows, "grows"), axes);
    let numbers = |field: &str| -> Vec<f64> {
        let rows = rows.as_array().expect("rows");
        rows.iter()
            .map(|row| row[field].as_f64().expect("a number"))
            .collect()
    };
    assert_eq!(numbers("to"), [8.0, 16.0, 32.0, 1.0, 2.0, 4.0, 8.0]);
    let expected = numbers("expected");
    // The expected growth is relative to the configuration. It is more than 2 for twice the tokens,
    // and less than 2 for twice the iterations n.
    assert!((expected[0] - 1.0).abs() < 1e-12 && (expected[3] - 1.0).abs() < 1e-12);
    assert!(expected[1] > 2.0 && expected[4] < 2.0, "{expected:?}");
    let shown = tiny_bench(&["--what", "growth", "--grow", "width"]);
    assert_ok(&shown);
    assert!(shown.stdout.contains("expected"), "{shown:?}");
}

#[test]
fn what_grows_is_refused_where_nothing_does() {
    refused(
        &tiny_bench(&["--grow", "k"]),
        2,
        &["--grow", "--what growth", "--what step"],
    );
    assert_eq!(tiny_bench(&["--what", "growth", "--grow", "depth"]).code, 2);
}
