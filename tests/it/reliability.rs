//! Tests the program under signals, with full disks and closed pipes, and with numbers that are not
//! finite.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{
    Ended, assert_ok, ended, root, rows, run, scratch, smoke_args, smoke_with, timeless_rows,
    trainer,
};

/// Returns the training and evaluation records of a run, without the values that depend on the
/// clock.
fn numbers(run: &Path) -> Vec<Value> {
    let kinds = ["train", "eval"].into_iter();
    kinds.flat_map(|kind| timeless_rows(run, kind)).collect()
}

/// Asserts that two runs have the same records.
#[track_caller]
fn same_numbers(one: &Path, other: &Path) {
    let (one, other) = (numbers(one), numbers(other));
    assert_eq!(one.len(), other.len());
    for (one, other) in one.iter().zip(&other) {
        assert_eq!(one, other);
    }
}

fn final_parameters(run: &Path) -> Vec<u8> {
    fs::read(run.join("checkpoints/step-00000020/model.safetensors")).expect("parameters")
}

fn no_panic(ended: &Ended) {
    for word in ["panicked", "RUST_BACKTRACE"] {
        assert!(!ended.stderr.contains(word), "{ended:?}");
    }
}

/// Runs a line of shell code. The program is `$0`, and `args` are the further arguments.
fn shell(line: &str, args: &[String]) -> Ended {
    let mut command = Command::new("sh");
    command
        .current_dir(root())
        .env("NO_COLOR", "1")
        .args(["-c", line]);
    command.arg(env!("CARGO_BIN_EXE_trainer")).args(args);
    ended(command.output().expect("a shell"))
}

#[cfg(unix)]
#[test]
fn a_signal_during_an_evaluation_is_heard_and_the_evaluation_made_up_for() {
    let dir = scratch();
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    // The evaluation after every fifth step takes a few seconds, so that a signal can interrupt it.
    let keys = [
        "eval.every=5",
        "data.val_fraction=0.5",
        "eval.tokens=30000",
        "eval.batch=1",
        "eval.recurrence=[1,64]",
        "model.recurrence.max=64",
    ];
    assert_ok(&smoke_with(&whole, &keys));
    let mut interrupted = 0;
    for _ in 0..12 {
        let mut command = trainer();
        command
            .args(smoke_args(&cut, &keys))
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = command.spawn().expect("the program starts");
        let before = if cut.join("metrics.jsonl").is_file() {
            rows(&cut, "train").len()
        } else {
            0
        };
        let begun = Instant::now();
        // Whether this process (not an earlier one) has written the last step before an evaluation.
        let due = || {
            let text = fs::read_to_string(cut.join("metrics.jsonl")).unwrap_or_default();
            let lines = text
                .lines()
                .filter(|line| line.contains("\"train\""))
                .count();
            lines > before && lines % 5 == 0
        };
        while !due() && begun.elapsed() < Duration::from_secs(20) {
            sleep(Duration::from_millis(5));
        }
        sleep(Duration::from_millis(30));
        let _ = Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status();
        let ended = ended(child.wait_with_output().expect("the program ends"));
        no_panic(&ended);
        if ended.code == 0 {
            break;
        }
        assert_eq!(ended.code, 75, "{ended:?}");
        let latest = fs::read_to_string(cut.join("checkpoints/latest")).expect("a checkpoint");
        let progress = cut
            .join("checkpoints")
            .join(latest.trim())
            .join("progress.json");
        let progress = fs::read_to_string(progress).expect("progress");
        interrupted += u32::from(progress.contains("\"owes_evaluation\": true"));
    }
    assert!(interrupted > 0, "no signal came during an evaluation");
    assert_ok(&smoke_with(&cut, &keys));
    same_numbers(&cut, &whole);
    assert!(final_parameters(&cut) == final_parameters(&whole));
}

#[cfg(unix)]
#[test]
fn a_signal_while_a_corpus_is_prepared_leaves_what_the_same_command_goes_on_with() {
    let dir = scratch();
    let out = dir.path().join("prepared");
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command
        .current_dir(root())
        .args(["prepare", "--quiet", "--out"])
        .arg(&out)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    let begun = Instant::now();
    let is_there = || fs::read_dir(dir.path()).is_ok_and(|mut entries| entries.next().is_some());
    while !is_there() && begun.elapsed() < Duration::from_secs(20) {
        sleep(Duration::from_millis(5));
    }
    let _ = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    let ended = ended(child.wait_with_output().expect("the program ends"));
    no_panic(&ended);
    assert_eq!(ended.code, 75, "{ended:?}");
    assert!(
        ended.stderr.contains("the same command resumes it"),
        "{ended:?}"
    );
    assert!(!out.exists());
}

#[test]
fn a_spike_that_is_skipped_leaves_the_weights_and_a_resume_knows_what_came_before() {
    let dir = scratch();
    let (whole, halves) = (dir.path().join("whole"), dir.path().join("halves"));
    let keys = [
        "train.skip_spikes={window=4,deviations=3.0,in_a_row=2}",
        "perturb=[{kind=\"lr-spike\",at_step=11,factor=1000.0,steps=1}]",
        "checkpoint.every=6",
        "checkpoint.keep_last=9",
    ];
    assert_ok(&smoke_with(&whole, &keys));
    let skips: Vec<u64> = rows(&whole, "event")
        .iter()
        .filter(|row| row["metrics"]["policy"] == "skip")
        .map(|row| row["step"].as_u64().expect("a step"))
        .collect();
    assert_eq!(skips, [12, 13], "two in a row, then the level is taken");
    let summary = fs::read_to_string(whole.join("summary.json")).expect("a summary");
    assert!(summary.contains("\"skipped_updates\": 2"), "{summary}");
    // This is the state after a kill between steps 12 and 13.
    assert_ok(&smoke_with(&halves, &keys));
    for step in ["step-00000018", "step-00000020"] {
        fs::remove_dir_all(halves.join("checkpoints").join(step)).expect("a checkpoint");
    }
    assert_ok(&smoke_with(&halves, &keys));
    same_numbers(&halves, &whole);
    assert!(final_parameters(&halves) == final_parameters(&whole));
}

#[test]
fn updates_that_are_not_finite_are_skipped_up_to_a_bound() {
    let dir = scratch();
    let out = dir.path().join("run");
    let keys = [
        "schedule.peak=1e30",
        "schedule.warmup=0",
        "train.nonfinite={kind=\"skip\",in_a_row=3}",
    ];
    let ended = smoke_with(&out, &keys);
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(
        ended.stderr.contains("3 updates before it were skipped"),
        "{ended:?}"
    );
    let events = rows(&out, "event");
    let skipped = events
        .iter()
        .filter(|row| row["metrics"]["policy"] == "skip");
    assert_eq!(skipped.count(), 3, "{events:?}");
    for wrong in [
        "train.nonfinite={kind=\"skip\",in_a_row=0}",
        "train.skip_spikes={window=1}",
    ] {
        assert_eq!(smoke_with(&out, &[wrong]).code, 2, "{wrong}");
    }
}

#[cfg(unix)]
#[test]
fn a_disk_that_is_full_costs_no_checkpoint_that_was_there() {
    let dir = scratch();
    let (whole, out) = (dir.path().join("whole"), dir.path().join("run"));
    let keys = ["checkpoint.every=4", "metrics.tensorboard=false"];
    assert_ok(&smoke_with(&whole, &keys));
    let first = [
        &keys[..],
        &["train.steps=8", "schedule.shape={kind=\"constant\"}"],
    ]
    .concat();
    assert_ok(&smoke_with(&out, &first));
    let before =
        fs::read(out.join("checkpoints/step-00000008/model.safetensors")).expect("a model");
    // Limits the size of a file to this number of blocks of 512 bytes. With small limits the
    // metrics cannot be written, and with larger ones a checkpoint cannot be written.
    let more = [
        &keys[..],
        &["train.steps=20", "schedule.shape={kind=\"constant\"}"],
    ]
    .concat();
    for blocks in [1, 8, 16, 32, 64] {
        let ended = shell(
            &format!("ulimit -f {blocks}; exec \"$0\" \"$@\""),
            &smoke_args(&out, &more),
        );
        no_panic(&ended);
        assert!([1, 4].contains(&ended.code), "{blocks}: {ended:?}");
        assert!(ended.stderr.contains("error: "), "{blocks}: {ended:?}");
        let after = fs::read(out.join("checkpoints/step-00000008/model.safetensors"));
        assert!(after.is_ok_and(|after| after == before), "{blocks}");
    }
    assert_ok(&smoke_with(&out, &more));
    let straight = dir.path().join("straight");
    assert_ok(&smoke_with(&straight, &more));
    // Only training records are compared: the first part ended with step 8, so this step was
    // evaluated in addition.
    assert_eq!(rows(&out, "train").len(), 20);
    assert!(final_parameters(&out) == final_parameters(&straight));
}

#[cfg(target_os = "linux")]
#[test]
fn a_reader_that_goes_away_is_no_error_and_an_output_that_is_full_is() {
    let args = ["--config", "configs/main.toml", "--print-config"].map(str::to_owned);
    let left = shell("\"$0\" \"$@\" | head -n 1; exit ${PIPESTATUS:-0}", &args);
    no_panic(&left);
    assert_eq!((left.code, left.stderr.as_str()), (0, ""), "{left:?}");
    let full = shell("\"$0\" \"$@\" > /dev/full", &args);
    no_panic(&full);
    assert_eq!(full.code, 1, "{full:?}");
    assert!(
        full.stderr.contains("cannot write to standard output"),
        "{full:?}"
    );
    let dir = scratch();
    // If standard error is full or closed, the run continues.
    let out = dir.path().join("run");
    assert_ok(&shell("\"$0\" \"$@\" 2> /dev/full", &smoke_args(&out, &[])));
    assert_eq!(rows(&out, "train").len(), 20);
    let out = dir.path().join("closed");
    assert_ok(&shell("\"$0\" \"$@\" 2>&- >&-", &smoke_args(&out, &[])));
    assert_eq!(rows(&out, "train").len(), 20);
}

/// The tokenizer library panics on this file. The program must report a normal error.
#[test]
fn a_tokenizer_on_which_the_library_panics_is_one_message() {
    let dir = scratch();
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::write(path("text.txt"), "hello world\n".repeat(100)).expect("a corpus");
    let ended = run([
        "prepare",
        &path("text.txt"),
        "--out",
        &path("out"),
        "--tokenizer",
        "tests/corpus/tokenizer/merge-shorter-than-its-prefix.json",
    ]);
    assert_eq!(ended.code, 3, "{ended:?}");
    no_panic(&ended);
    let message = "merge-shorter-than-its-prefix.json: not a well-formed tokenizer";
    assert!(ended.stderr.contains(message), "{ended:?}");
}

#[test]
fn a_run_has_the_same_parameters_however_many_threads_and_however_often() {
    let dir = scratch();
    let train = |name: &str, keys: &[&str]| {
        let out = dir.path().join(name);
        assert_ok(&smoke_with(&out, keys));
        final_parameters(&out)
    };
    let wide = [
        "model.d_model=96",
        "model.d_ff=224",
        "train.batch=6",
        "train.seq=48",
    ];
    let one = train("one", &[&wide[..], &["device.threads=1"]].concat());
    assert!(one == train("again", &[&wide[..], &["device.threads=1"]].concat()));
    assert!(one == train("two", &[&wide[..], &["device.threads=2"]].concat()));
    assert!(one == train("three", &[&wide[..], &["device.threads=3"]].concat()));
}

#[test]
fn every_documented_exit_code_is_met() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    let code = |out: &Path, keys: &[&str]| {
        let ended = smoke_with(out, keys);
        no_panic(&ended);
        ended.code
    };
    assert_eq!(code(&at("good"), &[]), 0);
    assert_eq!(code(&at("usage"), &["model.d_modl=3"]), 2);
    assert_eq!(code(&at("data"), &["data.paths=[\"no/such/text\"]"]), 3);
    assert_eq!(
        code(&at("good"), &["train.steps=30", "model.d_model=64"]),
        4
    );
    assert_eq!(
        code(&at("rule"), &["schedule.peak=1e30", "schedule.warmup=0"]),
        5
    );
    // A file has the name that a folder needs.
    fs::write(at("file"), "x").expect("a file");
    assert!([1, 4].contains(&code(&at("file").join("below"), &[])));
    let page = root().join("crates/rondo-trainer/book/src/exit-codes.md");
    let page = fs::read_to_string(page).expect("the page on exit codes");
    for code in [0, 1, 2, 3, 4, 5, 6, 7, 75] {
        assert!(page.contains(&format!("\n| {code} | ")), "{code}");
    }
}

#[test]
fn the_best_checkpoint_is_kept_beside_the_newest() {
    let dir = scratch();
    let out = dir.path().join("run");
    // The learning rate ruins the model after step 13.
    let keys = [
        "eval.every=2",
        "checkpoint.every=2",
        "checkpoint.keep_last=2",
        "train.clip=false",
        "perturb=[{kind=\"lr-spike\",at_step=13,factor=1000.0,steps=8}]",
    ];
    assert_ok(&smoke_with(&out, &keys));
    let best = rows(&out, "eval")
        .iter()
        .filter(|row| row["step"].as_u64() > Some(0))
        .min_by(|a, b| {
            let loss = |row: &Value| {
                row["metrics"]["val_cross_entropy"]
                    .as_f64()
                    .unwrap_or(f64::MAX)
            };
            loss(a).total_cmp(&loss(b))
        })
        .and_then(|row| row["step"].as_u64())
        .expect("an evaluation");
    assert!(best < 16, "{best}");
    let mut kept: Vec<String> = fs::read_dir(out.join("checkpoints"))
        .expect("checkpoints")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("step-"))
        .collect();
    kept.sort();
    assert_eq!(
        kept,
        [&format!("step-{best:08}"), "step-00000018", "step-00000020"]
    );
    let eval = run([
        "eval",
        &out.display().to_string(),
        "--checkpoint",
        "best",
        "--device",
        "flex",
        "--json",
    ]);
    assert_ok(&eval);
    assert_eq!(eval.json()["runs"][0]["step"], best);
}
