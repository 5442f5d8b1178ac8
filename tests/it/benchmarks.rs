//! Tests of `trainer eval --tasks`: `parity` with lm-eval and CORE, `properties` of scores,
//! `controls`, `generated` answers, `reports`, `figures`, `refusals`.

mod controls;
mod figures;
mod generated;
mod parity;
mod properties;
mod refusals;
mod reports;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ended, assert_ok, copy_folder, root, run, scratch};

/// Returns the golden folder.
fn golden() -> PathBuf {
    root().join("tests/golden/lm-eval-raven-tiny")
}

/// Imports the model raven-tiny with the tokenizer of the golden items, which has one token per
/// byte.
fn imported() -> (TempDir, PathBuf) {
    let dir = scratch();
    let source = dir.path().join("source");
    copy_folder(&root().join("tests/golden/raven-tiny"), &source);
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(golden().join(name), source.join(name)).expect("a file can be copied");
    }
    let out = dir.path().join("run");
    let (source, path) = (source.display().to_string(), out.display().to_string());
    assert_ok(&run(["import", &source, "--out", &path]));
    (dir, out)
}

/// Evaluates a task on flex from the zero state, and prints JSON.
fn eval(of: &Path, tasks: &Path, further: &[&str]) -> Ended {
    let (of, tasks) = (of.display().to_string(), tasks.display().to_string());
    let mut args = vec!["eval", &of, "--tasks", &tasks, "--device", "flex", "--json"];
    if !further.contains(&"--initial-state") {
        args.extend(["--initial-state", "zero"]);
    }
    args.extend(further);
    run(args)
}

/// Returns the lines of a JSONL file.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

/// Returns the items of a file of outcomes. The file's first line is not an item.
fn outcomes(path: &Path) -> Vec<Value> {
    lines(path).split_off(1)
}

/// Returns the path of a task's outcomes for an imported run.
fn outcome_file(of: &Path, task: &str) -> PathBuf {
    outcome_file_at(of, 0, task)
}

/// Returns the path of a task's outcomes for a checkpoint of a run.
fn outcome_file_at(of: &Path, step: u64, task: &str) -> PathBuf {
    of.join(format!("tasks/step-{step:08}/{task}.jsonl"))
}

/// Returns the numbers of a list, or a single number as a list.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_f64).collect(),
        one => one.as_f64().into_iter().collect(),
    }
}

/// Writes a task file with these lines.
fn written(dir: &Path, name: &str, lines: &[&str]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, lines.join("\n")).expect("writable");
    path
}
