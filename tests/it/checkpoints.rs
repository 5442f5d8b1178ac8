//! What is saved is what goes on.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{assert_ok, rows, scratch, smoke};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
    {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// Everything of a training row but how long it took.
fn timeless(rows: Vec<Value>) -> Vec<Value> {
    let strip = |mut row: Value| {
        if let Some(metrics) = row["metrics"].as_object_mut() {
            for name in ["tokens_per_second", "step_seconds", "mfu", "memory_bytes"] {
                metrics.remove(name);
            }
        }
        row
    };
    rows.into_iter().map(strip).collect()
}

#[test]
fn twenty_steps_are_ten_and_ten_bit_for_bit() {
    for further in [
        &["--set", "optimizer.kind=raven-adam"][..],
        &[
            "--set",
            "optimizer.kind=adamw",
            "--set",
            "train.accumulation=2",
        ],
        &["--set", "optimizer.kind=muon"],
    ] {
        let dir = scratch();
        let (whole, resumed) = (dir.path().join("whole"), dir.path().join("resumed"));
        assert_ok(&smoke(&whole, further));
        copy(&whole, &resumed);
        fs::remove_dir_all(resumed.join("checkpoints/step-00000020")).expect("the last checkpoint");
        assert_ok(&smoke(&resumed, further));
        for file in [
            "model.safetensors",
            "optimizer.safetensors",
            "progress.json",
        ] {
            let read = |run: &Path| {
                fs::read(run.join("checkpoints/step-00000020").join(file))
                    .expect("a checkpoint file")
            };
            assert!(
                read(&whole) == read(&resumed),
                "{file} differs with {further:?}"
            );
        }
        for kind in ["train", "eval"] {
            assert_eq!(timeless(rows(&whole, kind)), timeless(rows(&resumed, kind)));
        }
        let resumed = rows(&resumed, "event");
        assert!(
            resumed
                .iter()
                .any(|row| row["metrics"]["event"] == "resume"),
            "{resumed:?}"
        );
    }
}

#[test]
fn a_second_start_of_a_finished_run_says_so_and_changes_nothing() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let metrics = fs::read(out.join("metrics.jsonl")).expect("metrics");
    let again = smoke(&out, &[]);
    assert_ok(&again);
    assert!(again.stderr.contains("finished"), "{again:?}");
    assert_eq!(
        fs::read(out.join("metrics.jsonl")).expect("metrics"),
        metrics
    );
    let never = smoke(&out, &["--resume", "never"]);
    assert_eq!(never.code, 2, "{never:?}");
    assert_ok(&smoke(&out, &["--overwrite", "--set", "train.steps=2"]));
    assert_eq!(rows(&out, "train").len(), 2);
}

#[test]
fn a_larger_budget_extends_a_run_and_another_model_is_refused_by_key() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &["--set", "train.steps=4"]));
    assert_ok(&smoke(&out, &["--set", "train.steps=6"]));
    assert_eq!(rows(&out, "train").len(), 6);
    let other = smoke(&out, &["--set", "train.steps=8", "--set", "model.d_ff=48"]);
    assert_eq!(other.code, 4, "{other:?}");
    assert!(
        other.stderr.contains("model.d_ff: 64 in the run, 48 now"),
        "{other:?}"
    );
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_named() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let file = out.join("checkpoints/step-00000020/model.safetensors");
    let mut bytes = fs::read(&file).expect("weights");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).expect("the file can be written");
    let resumed = smoke(&out, &[]);
    assert_ok(&resumed);
    assert!(
        resumed.stderr.contains("step 20") && resumed.stderr.contains("warning"),
        "{resumed:?}"
    );
    assert_eq!(rows(&out, "train").len(), 20);
}

#[test]
fn another_process_in_the_same_directory_is_refused() {
    let dir = scratch();
    let out = dir.path().join("run");
    fs::create_dir_all(&out).expect("a folder");
    let lock = fs::File::create(out.join(".lock")).expect("a lock file");
    lock.lock().expect("the lock is free");
    let ended = smoke(&out, &[]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.stderr.contains("another process"), "{ended:?}");
}
