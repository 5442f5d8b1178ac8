//! Runs the program in the root of the repository. Each test has its own run directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Returns the repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns a command for the program without its arguments.
pub(crate) fn trainer() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command
        .current_dir(root())
        .env("NO_COLOR", "1")
        .env_remove("RUST_BACKTRACE");
    command
}

/// The exit code and the output of a finished program.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Parses standard output as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Runs the program to its end.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Ended {
    ended(trainer().args(args).output().expect("the program starts"))
}

/// Converts the output of a process.
pub(crate) fn ended(output: Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is text");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Returns a new folder for run directories.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Copies a folder with its contents.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
    {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
}

/// Returns the key that makes all tests share one cache of prepared corpora.
pub(crate) fn shared_cache() -> String {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
    format!("data.cache={}", cache.display())
}

/// Trains configs/smoke.toml into `out` on flex. `further` holds more arguments.
pub(crate) fn smoke(out: &Path, further: &[&str]) -> Ended {
    let cache = shared_cache();
    let mut args = vec!["--config", "configs/smoke.toml", "--set", &cache, "--out"];
    let out = out.display().to_string();
    args.push(&out);
    if !further.contains(&"--device") {
        args.extend(["--device", "flex"]);
    }
    args.extend(further);
    run(args)
}

/// Returns the arguments for training configs/smoke.toml into `out` on flex with `keys`. Each key
/// has the form `key=value`.
pub(crate) fn smoke_args(out: &Path, keys: &[&str]) -> Vec<String> {
    let (out, cache) = (out.display().to_string(), shared_cache());
    let mut args = vec!["--config", "configs/smoke.toml", "--device", "flex"];
    args.extend(["--out", &out, "--set", &cache]);
    args.extend(keys.iter().flat_map(|key| ["--set", key]));
    args.into_iter().map(str::to_owned).collect()
}

/// Trains configs/smoke.toml into `out` on flex with `keys`.
pub(crate) fn smoke_with(out: &Path, keys: &[&str]) -> Ended {
    run(smoke_args(out, keys))
}

/// Asserts that the program succeeded.
#[track_caller]
pub(crate) fn assert_ok(ended: &Ended) {
    assert_eq!(ended.code, 0, "{ended:?}");
}

/// Asserts the exit code, and that there is a single error message that contains these parts.
#[track_caller]
pub(crate) fn refused(ended: &Ended, code: i32, parts: &[&str]) {
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

/// Returns the records of one kind from a run's metrics.
pub(crate) fn rows(run: &Path, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("a run has metrics");
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a row is JSON"))
        .filter(|row| row["kind"] == kind)
        .collect()
}

/// Returns the records of one kind, without the values that depend on the clock or the machine.
pub(crate) fn timeless_rows(run: &Path, kind: &str) -> Vec<Value> {
    let mut rows = rows(run, kind);
    for row in &mut rows {
        row.as_object_mut().expect("a row").remove("time");
        let metrics = row["metrics"].as_object_mut().expect("metrics");
        for name in ["tokens_per_second", "step_seconds", "mfu", "memory_bytes"] {
            metrics.remove(name);
        }
    }
    rows
}

/// Returns the loss of every logged step.
pub(crate) fn losses(run: &Path) -> Vec<f64> {
    rows(run, "train")
        .iter()
        .map(|row| row["metrics"]["loss"].as_f64().expect("a loss"))
        .collect()
}

/// Compares text with a golden file. If `RONDO_BLESS` is set, writes the file instead.
#[track_caller]
pub(crate) fn golden(name: &str, found: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("RONDO_BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        fs::write(&path, found).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&path).expect("the golden file is there");
    assert_eq!(
        found, expected,
        "{name} differs; RONDO_BLESS=1 writes it anew"
    );
}
