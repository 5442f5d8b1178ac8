//! The current version evaluates, resumes, compares and exports run directories of an older
//! version.
//!
//! tests/golden/old-run contains two such directories, and the values that the older version
//! computed from them. Its README describes how they were made.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    Ended, assert_ok, copy_folder, ended, root, rows, scratch, timeless_rows, trainer,
};

/// Processors add in different orders. Between AVX-512, AVX2 and SSE, no value changed by more than
/// 4.4e-7 (relative).
const TOLERANCE: f64 = 5e-6;

/// An old run, and the arguments with which it is resumed.
struct Old {
    name: &'static str,
    /// The step of the run's checkpoint.
    step: u64,
    /// The arguments of the resume, in addition to the run's own configuration.
    further: &'static [&'static str],
}

/// A finished run on text. The resume has a larger number of steps.
const TEXT: Old = Old {
    name: "text",
    step: 8,
    further: &["--set", "train.steps=16"],
};

/// An interrupted run on a task, with gates and the controller of their penalty.
const TASK: Old = Old {
    name: "task",
    step: 6,
    further: &[],
};

/// A working directory with copies of the old runs, and with the text at the relative path that the
/// runs use.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = scratch();
        for old in [TEXT, TASK] {
            copy_folder(&golden(old.name), &dir.path().join(old.name));
        }
        fs::create_dir(dir.path().join("data")).expect("a folder can be made");
        let text = "data/sample.txt";
        fs::copy(root().join(text), dir.path().join(text)).expect("the text can be copied");
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Ended {
        let mut command = trainer();
        command.current_dir(self.dir.path()).args(args);
        ended(command.output().expect("the program starts"))
    }

    /// Resumes the training of an old run with its own configuration and the arguments `further`.
    fn train(&self, old: &Old, further: &[&str]) -> Ended {
        let config = format!("{}/config.toml", old.name);
        let args = ["--config", &config, "--out", old.name];
        self.run(&[&args[..], further].concat())
    }
}

fn golden(name: &str) -> PathBuf {
    root().join("tests/golden/old-run").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&read(path)).expect("JSON")
}

/// Returns the records of one kind. Checkpoint events are left out, because their times depend on
/// the disk.
fn records(run: &Path, kind: &str) -> Vec<Value> {
    let mut rows = timeless_rows(run, kind);
    rows.retain(|row| row["metrics"]["event"] != "checkpoint");
    rows
}

/// Asserts that `found` contains every value of `expected`. Numbers may differ by a relative
/// [`TOLERANCE`], and `found` may contain further names.
#[track_caller]
fn assert_holds(found: &Value, expected: &Value, at: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, expected) in expected {
                let at = format!("{at}.{name}");
                let found = found.get(name).unwrap_or_else(|| panic!("{at} is missing"));
                assert_holds(found, expected, &at);
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{at}");
            for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert_holds(found, expected, &format!("{at}[{index}]"));
            }
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().expect("a number"), b.as_f64().expect("a number"));
            let most = TOLERANCE * b.abs();
            assert!((a - b).abs() <= most, "{at}: {a}, not {b}");
        }
        _ => assert_eq!(found, expected, "{at}"),
    }
}

#[test]
fn an_old_run_evaluates_to_its_old_numbers_at_every_depth() {
    let place = Place::new();
    for old in [TEXT, TASK] {
        let ended = place.run(&["eval", old.name, "--device", "flex", "--json"]);
        assert_ok(&ended);
        let expected = json(&golden(&format!("{}.eval.json", old.name)));
        assert_eq!(expected["runs"][0]["step"], old.step);
        assert_holds(&ended.json(), &expected, old.name);
    }
}

#[test]
fn an_old_run_goes_on_with_the_steps_that_its_version_took() {
    let place = Place::new();
    for old in [TEXT, TASK] {
        let run = place.path(old.name);
        let files = ["metrics.jsonl", "launches.jsonl"].map(|name| run.join(name));
        let before = files.each_ref().map(|file| read(file));
        let kinds = ["train", "eval", "event"];
        let there = kinds.map(|kind| records(&run, kind).len());
        assert_ok(&place.train(&old, old.further));
        for (file, before) in files.iter().zip(&before) {
            assert!(read(file).starts_with(before), "{}", file.display());
        }
        let launches = read(&files[1]);
        assert_eq!(launches.lines().count(), 2, "{launches}");

        let expected = read(&golden(&format!("{}.resumed.jsonl", old.name)));
        let expected: Vec<Value> = expected
            .lines()
            .map(|line| serde_json::from_str(line).expect("a row is JSON"))
            .collect();
        for (kind, there) in kinds.into_iter().zip(there) {
            let expected: Vec<_> = expected.iter().filter(|row| row["kind"] == kind).collect();
            assert!(!expected.is_empty(), "{kind}");
            let found = records(&run, kind).split_off(there);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                let at = format!("{}: {kind} {}", old.name, expected["step"]);
                assert_holds(found, expected, &at);
            }
        }
    }
}

#[test]
fn a_finished_old_run_is_known_as_finished_and_left_as_it_is() {
    let place = Place::new();
    let summary = place.path("text/summary.json");
    let metrics = place.path("text/metrics.jsonl");
    let before = [&summary, &metrics].map(|file| read(file));
    let ended = place.train(&TEXT, &[]);
    assert_ok(&ended);
    let told = format!("is finished at step {}", TEXT.step);
    assert!(ended.stderr.contains(&told), "{ended:?}");
    assert_eq!([&summary, &metrics].map(|file| read(file)), before);
}

#[test]
fn checkpoints_of_an_old_run_are_whole() {
    let place = Place::new();
    for old in [TEXT, TASK] {
        let ended = place.run(&["checkpoints", old.name, "--verify", "--json"]);
        assert_ok(&ended);
        let found = ended.json();
        assert_eq!(found["newest_good"], old.step, "{found}");
        assert_eq!(found["checkpoints"][0]["state"], "whole", "{found}");
    }
}

#[test]
fn a_new_run_starts_from_an_old_one_and_both_are_compared_and_drawn() {
    let place = Place::new();
    let keys = ["--config", "text/config.toml", "--out", "new"];
    let keys = [
        &keys[..],
        &["--set", "init.from=text", "--set", "train.steps=4"],
    ]
    .concat();
    assert_ok(&place.run(&keys));
    let last = rows(&place.path("text"), "eval")
        .pop()
        .expect("an evaluation");
    let start = rows(&place.path("new"), "eval").remove(0);
    for depth in ["val_loss@1", "val_loss@4", "val_loss@8"] {
        assert_holds(&start["metrics"][depth], &last["metrics"][depth], depth);
    }

    let ended = place.run(&["compare", "text", "task", "new", "--out", "page"]);
    assert_ok(&ended);
    let object = json(&place.path("page/compare.json"));
    let summary = json(&place.path("text/summary.json"));
    let found = &object["runs"][0];
    assert_eq!(found["run"], "text");
    for name in ["verdict", "final_loss"] {
        assert_eq!(found[name], summary[name], "{name}: {found}");
    }
    let page = read(&place.path("page/compare.html"));
    for word in ["text", "task", "new", "<h3>Loss against tokens</h3>"] {
        assert!(page.contains(word), "{word}");
    }
    for (figure, run) in [
        ("training-dynamics", "text"),
        ("per-iteration", "text"),
        ("depth-histogram", "task"),
        ("depth-reach", "task"),
        ("sparsity", "task"),
    ] {
        assert_ok(&place.run(&["figure", figure, run, "--out", "figures"]));
        let table = read(&place.path("figures").join(format!("{figure}.csv")));
        assert!(table.lines().count() > 2, "{figure}: {table}");
    }
}

#[test]
fn an_old_run_generates_its_old_tokens() {
    let place = Place::new();
    let expected = json(&golden("text.generate.json"));
    let args = ["generate", "text", "--device", "flex", "--json", "--prompt"];
    let further = ["Four score", "--recurrence", "4", "--max-tokens", "8"];
    let ended = place.run(&[&args[..], &further].concat());
    assert_ok(&ended);
    let found = ended.json();
    for name in ["prompt_tokens", "tokens", "text", "iterations", "ended"] {
        assert_eq!(found[name], expected[name], "{name}: {found}");
    }
}

#[test]
fn an_old_run_is_exported_as_its_version_exported_it() {
    let place = Place::new();
    for (old, format) in [(TEXT, "reference"), (TASK, "rondo")] {
        let args = ["export", old.name, "--out", "exported", "--overwrite"];
        assert_ok(&place.run(&[&args[..], &["--format", format]].concat()));
        let expected = golden(&format!("{}.export.json", old.name));
        let expected = json(&expected);
        let exported = place.path("exported");
        for (name, hash) in expected["blake3"].as_object().expect("files") {
            let bytes = fs::read(exported.join(name)).expect("an exported file");
            let found = blake3::hash(&bytes).to_hex().to_string();
            assert_eq!(&found, hash, "{}: {name}", old.name);
        }
        let config = json(&exported.join("config.json"));
        assert_holds(&config, &expected["config"], old.name);
    }
}
