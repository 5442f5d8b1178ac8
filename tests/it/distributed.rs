//! Tests of runs on several ranks. Without mpirun, the tests check the costs that a dry run prints.
//! With mpirun, the tests check whole runs: the bits of the results, the errors, and how the ranks
//! end.
//!
//! Tests with mpirun need the cargo feature `mpi` and Open MPI's `mpirun`. If one of the two is
//! missing, these tests print a message and pass.

mod bits;
mod ends;
mod timing;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rondo_checkpoint::{Which, open};
use serde_json::Value;

use crate::harness::{
    Ended, assert_ok, ended, refused, root, rows, run, scratch, shared_cache, smoke_args,
    timeless_rows,
};

/// The longest wait for a process or its output. After this time the test fails.
const PATIENCE: Duration = Duration::from_mins(3);

/// Settings with eight micro-batches per step. Eight micro-batches can be divided among 1, 2, 4 and
/// 8 ranks.
const SHARED: [&str; 3] = ["train.batch=2", "train.accumulation=8", "train.steps=8"];

/// Returns whether mpirun can be used; otherwise prints a message.
fn has_mpi() -> bool {
    let mpirun = Command::new("mpirun").arg("--version").output();
    let has_mpirun = mpirun.is_ok_and(|output| output.status.success());
    let has_mpi = cfg!(feature = "mpi") && has_mpirun;
    if !has_mpi {
        #[expect(clippy::print_stderr, reason = "the reader of a test's output is told")]
        {
            eprintln!(
                "skipped: needs --features mpi and mpirun (Debian: openmpi-bin libopenmpi-dev)"
            );
        }
    }
    has_mpi
}

/// Returns a command that starts mpirun with the settings that all tests share. The caller adds the
/// number of ranks and the program.
fn mpirun() -> Command {
    let mut command = Command::new("mpirun");
    command
        .current_dir(root())
        .args(["--oversubscribe", "--bind-to", "none"])
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("RAYON_NUM_THREADS", "1")
        .env("NO_COLOR", "1")
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

const TRAINER: &str = env!("CARGO_BIN_EXE_trainer");

/// Starts the trainer on `ranks` ranks.
fn started(ranks: usize, args: &[String]) -> Child {
    let mut command = mpirun();
    command.args(["-n", &ranks.to_string(), TRAINER]).args(args);
    command.spawn().expect("mpirun starts")
}

/// Waits until all ranks have ended.
#[track_caller]
fn end_of(mut child: Child) -> Ended {
    let begun = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if begun.elapsed() > PATIENCE {
            child.kill().expect("it can be killed");
            panic!(
                "mpirun hangs: {:?}",
                ended(child.wait_with_output().expect("an output"))
            );
        }
        sleep(Duration::from_millis(20));
    }
    ended(child.wait_with_output().expect("an output"))
}

fn on_ranks(ranks: usize, args: &[String]) -> Ended {
    match ranks {
        1 => run(args),
        _ => end_of(started(ranks, args)),
    }
}

/// Returns the arguments for a training run of `configs/smoke.toml`, changed by [`SHARED`] and then
/// by `keys`.
fn shared_args(out: &Path, keys: &[&str]) -> Vec<String> {
    smoke_args(out, &[&SHARED[..], keys].concat())
}

/// Returns a hash of the weights and a hash of the moments. Both are read from the run's newest
/// checkpoint.
fn hashes(run: &Path) -> [String; 2] {
    let checkpoint = open(run, &Which::Latest).expect("a checkpoint");
    ["model.safetensors", "optimizer.safetensors"].map(|name| {
        let bytes = checkpoint.read(name).expect("readable");
        blake3::hash(&bytes).to_hex().to_string()
    })
}

/// Returns the training and evaluation records without the values that depend on the clock, the
/// machine or the number of ranks.
fn records(run: &Path) -> Vec<Value> {
    let mut all = Vec::new();
    for kind in ["train", "eval"] {
        for mut row in timeless_rows(run, kind) {
            let metrics = row["metrics"].as_object_mut().expect("metrics");
            for name in ["world_size", "reduce_seconds", "wait_seconds"] {
                metrics.remove(name);
            }
            all.push(row);
        }
    }
    all
}

/// Returns the process id and the rank of each trainer whose command line contains the run's
/// directory.
fn processes(run: &Path) -> Vec<(u32, Option<usize>)> {
    let wanted = run.display().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if !command.contains(&wanted) || !command.starts_with(TRAINER) {
            return None;
        }
        let environment = fs::read(entry.path().join("environ")).ok()?;
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let rank = environment
            .split('\0')
            .find_map(|one| one.strip_prefix("OMPI_COMM_WORLD_RANK="));
        Some((pid, rank.and_then(|rank| rank.parse().ok())))
    });
    found.collect()
}

/// Asserts that every process of a run ends.
#[track_caller]
fn assert_nobody_is_left(run: &Path) {
    let begun = Instant::now();
    while !processes(run).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{:?} are left", processes(run));
        sleep(Duration::from_millis(20));
    }
}

fn wait_for_lines(run: &Path, lines: usize) {
    let begun = Instant::now();
    let there = || fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |m| m.lines().count());
    while there() < lines {
        assert!(begun.elapsed() < PATIENCE, "{lines} lines");
        sleep(Duration::from_millis(20));
    }
}

fn send(signal: &str, run: &Path, rank: usize) {
    let found = processes(run);
    let (pid, _) = found
        .iter()
        .find(|(_, of)| *of == Some(rank))
        .unwrap_or_else(|| panic!("rank {rank} among {found:?}"));
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// Returns the arguments of a run that does not end by itself.
fn endless(out: &Path, keys: &[&str]) -> Vec<String> {
    let long = [
        "train.steps=100000",
        "eval.every=100000",
        "checkpoint.every=5",
    ];
    shared_args(out, &[&long[..], keys].concat())
}
