//! Signals that were ignored when the program started, as with `nohup` or a shell's `trap '' INT`,
//! stay ignored.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::{Ended, ended, root, scratch, smoke_args};

/// Starts the program from a shell that ignores the signal `ignored`.
fn started(ignored: &str, args: &[String]) -> Child {
    let script = format!("trap '' {ignored}; exec \"$0\" \"$@\"");
    Command::new("sh")
        .current_dir(root())
        .args(["-c", &script, env!("CARGO_BIN_EXE_trainer")])
        .args(args)
        .env("NO_COLOR", "1")
        .env_remove("RUST_BACKTRACE")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a shell starts")
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), &child.id().to_string()])
        .status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// Waits until the metrics of `run` have `lines` lines.
fn wait_for(run: &Path, lines: usize) {
    let begun = Instant::now();
    let there = || fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |m| m.lines().count());
    while there() < lines {
        assert!(begun.elapsed() < Duration::from_mins(2), "{lines} lines");
        sleep(Duration::from_millis(20));
    }
}

/// Sends a run the signal `ignored`, checks that the training continues, and ends the run with the
/// signal `ending`.
fn run_through(ignored: &str, ending: &str) -> Ended {
    let dir: TempDir = scratch();
    let run = dir.path().join("run");
    let keys = [
        "train.steps=100000",
        "eval.every=100000",
        "train.log_every=1",
    ];
    let child = started(ignored, &smoke_args(&run, &keys));
    wait_for(&run, 5);
    send(ignored, &child);
    let before = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    // A signal takes effect at the end of a step, so twenty more steps are enough.
    wait_for(&run, before.lines().count() + 20);
    send(ending, &child);
    ended(child.wait_with_output().expect("the program ends"))
}

#[test]
fn a_run_started_by_nohup_outlives_its_terminal() {
    let ended = run_through("HUP", "TERM");
    assert_eq!(ended.code, 75, "{ended:?}");
}

#[test]
fn a_launchers_signal_ends_a_run_politely_however_often_it_comes() {
    let dir = scratch();
    let run = dir.path().join("run");
    let keys = ["train.steps=100000", "eval.every=100000"];
    let child = started("HUP", &smoke_args(&run, &keys));
    wait_for(&run, 5);
    for _ in 0..3 {
        send("USR1", &child);
    }
    let ended = ended(child.wait_with_output().expect("the program ends"));
    assert_eq!(ended.code, 75, "{ended:?}");
    assert!(ended.stderr.contains("interrupted after step"), "{ended:?}");
    assert!(run.join("checkpoints/latest").exists(), "it has saved");
}

#[test]
fn each_ignored_signal_stays_ignored_by_itself() {
    for (ignored, ending) in [("INT", "HUP"), ("TERM", "INT")] {
        let ended = run_through(ignored, ending);
        assert_eq!(ended.code, 75, "{ignored} ignored: {ended:?}");
    }
}

#[test]
fn preparing_a_corpus_outlives_an_ignored_signal() {
    let dir = scratch();
    let out = dir.path().join("prepared");
    let args: Vec<String> = ["prepare", "-q", "--max-bytes", "2000000", "--out"]
        .into_iter()
        .map(str::to_owned)
        .chain([out.display().to_string()])
        .collect();
    let child = started("HUP", &args);
    let begun = Instant::now();
    let begins = || fs::read_dir(dir.path()).is_ok_and(|mut entries| entries.next().is_some());
    while !begins() && begun.elapsed() < Duration::from_secs(20) {
        sleep(Duration::from_millis(5));
    }
    send("HUP", &child);
    let ended = ended(child.wait_with_output().expect("the program ends"));
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(out.join("corpus.json").exists());
}
