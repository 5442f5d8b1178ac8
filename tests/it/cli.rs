//! Wrong input gives one clear message, the documented exit code, and nothing on disk.

use std::fs;

use crate::harness::{Ended, assert_ok, run, scratch, smoke};

#[track_caller]
fn refused(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.stderr.matches("error:").count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    for part in parts {
        assert!(
            ended.stderr.contains(part),
            "{part} is missing in {ended:?}"
        );
    }
}

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
        &["--quiet", "--set", "train.steps=2"],
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
