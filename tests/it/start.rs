//! Tests what a run prints before and during training: its costs, warnings about its settings, and
//! its rows.

use std::fs;

use crate::harness::{
    Ended, assert_ok, ended, run, scratch, smoke, smoke_args, smoke_with, trainer,
};

/// Returns the line that begins with this label.
fn labelled<'a>(text: &'a str, label: &str) -> &'a str {
    text.lines()
        .find(|line| line.starts_with(label))
        .unwrap_or_else(|| panic!("{label} is missing in {text}"))
}

/// Returns the column names of the training table, and the rows below them.
fn rows(ended: &Ended) -> (Vec<&str>, Vec<&str>) {
    let is_header = |line: &&str| line.trim_start().starts_with("step ") && line.contains("eta");
    let headers = ended.stderr.lines().filter(is_header).collect();
    let rows = ended.stderr.lines().filter(|line| {
        let step = line.trim_start().split(' ').next();
        step.is_some_and(|step| step.split_once('/').is_some_and(|(_, all)| all == "20"))
    });
    (headers, rows.collect())
}

#[test]
fn a_start_tells_data_work_memory_and_disk() {
    let dir = scratch();
    let trained = smoke(&dir.path().join("run"), &[]);
    assert_ok(&trained);
    let text = &trained.stderr;
    // The run has 20 steps of 4 rows of 32 tokens. The corpus has 5,179 training tokens, and the
    // model has 41,600 parameters.
    assert_eq!(
        labelled(text, "data "),
        "data    20 steps, 2,560 tokens: 49 % of the corpus, 0.062 a parameter"
    );
    // The evaluations are before the first step, and after 10 and 20 steps.
    let work = labelled(text, "work ");
    assert!(
        work.starts_with("work    1.09e9 FLOPs at the mean depth, ")
            && work.ends_with(" in 3 evaluations"),
        "{work}"
    );
    let memory = labelled(text, "memory ");
    assert!(
        memory.contains(" MiB needed, ") && memory.ends_with(" free"),
        "{memory}"
    );
    let disk = labelled(text, "disk ");
    assert!(
        disk.starts_with("disk    975 KiB for 2 checkpoints of 488 KiB each, ")
            && disk.ends_with(" free"),
        "{disk}"
    );
}

#[test]
fn a_run_of_a_shape_that_was_trained_here_tells_its_duration_at_the_start() {
    let dir = scratch();
    let first = smoke(&dir.path().join("one"), &[]);
    assert_ok(&first);
    assert!(
        !first.stderr.contains("\ntime "),
        "it is over within a second: {first:?}"
    );
    let second = smoke(&dir.path().join("two"), &["--set", "schedule.peak=1e-3"]);
    assert_ok(&second);
    let time = labelled(&second.stderr, "time ");
    assert!(
        time.starts_with("time    about ")
            && time.contains("one on 20")
            && time.ends_with(" for 3 evaluations"),
        "{time}"
    );
    let other = smoke(&dir.path().join("three"), &["--set", "train.batch=3"]);
    assert!(
        !other.stderr.contains("\ntime "),
        "another shape: {other:?}"
    );
}

#[test]
fn a_resumed_run_tells_what_is_left() {
    let dir = scratch();
    let out = dir.path().join("run");
    let keys = ["train.steps=10", "eval.every=10"];
    assert_ok(&smoke_with(&out, &keys));
    let again = smoke_with(&out, &["train.steps=15", "eval.every=10"]);
    assert_ok(&again);
    let data = labelled(&again.stderr, "data ");
    assert!(
        data.starts_with("data    5 more steps, 640 tokens: 12 % of the corpus, "),
        "{data}"
    );
    let time = labelled(&again.stderr, "time ");
    assert!(time.ends_with(" for 1 evaluation"), "{time}");
}

#[test]
fn a_dry_run_tells_the_same_with_a_measured_duration() {
    let dir = scratch();
    let mut args = smoke_args(&dir.path().join("run"), &[]);
    args.push("--dry-run".to_owned());
    let shown = run(&args);
    assert_ok(&shown);
    for label in ["data ", "work ", "memory  ", "disk "] {
        labelled(&shown.stdout, label);
    }
    let time = labelled(&shown.stdout, "time ");
    assert!(
        time.contains("at the speed of 3 tried steps, and ")
            && time.ends_with(" for 3 evaluations"),
        "{time}"
    );
    assert!(shown.stdout.contains("token embedding"), "{shown:?}");
    args.push("--json".to_owned());
    let costs = run(&args).json();
    assert_eq!(costs["steps"], 20);
    assert_eq!(costs["tokens"], 2560);
    assert_eq!(costs["evaluations"], 3);
    assert_eq!(costs["checkpoints_kept"], 2);
    let number = |key: &str| {
        costs[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} in {costs}"))
    };
    assert!((number("flops") / (2560.0 * number("flops_per_token")) - 1.0).abs() < 1e-12);
    assert!((number("training_seconds") / (20.0 * number("step_seconds")) - 1.0).abs() < 1e-9);
    assert!(number("corpus_passes") > 0.4 && number("corpus_passes") < 0.6);
    assert!(number("evaluation_seconds") > 0.0 && number("largest_step_seconds") > 0.0);
    // A checkpoint of this run has a known size: it consists of weights, moments and little else.
    assert_ok(&smoke(&dir.path().join("run"), &[]));
    let folder = dir.path().join("run/checkpoints/step-00000020");
    let files = fs::read_dir(folder).expect("a checkpoint");
    let sizes = files.map(|file| {
        file.and_then(|file| file.metadata())
            .map_or(0, |about| about.len())
    });
    let (told, is) = (number("checkpoint_bytes"), sizes.sum::<u64>() as f64);
    assert!(told < is && is < 1.05 * told, "{told} told, {is} written");
}

#[test]
fn a_piped_run_has_one_header_and_rows_that_keep_their_columns() {
    let dir = scratch();
    let trained = smoke(&dir.path().join("run"), &[]);
    assert_ok(&trained);
    let (headers, rows) = rows(&trained);
    assert_eq!(
        headers,
        [" step    loss      lr    |g|      r   corr  tok/s     eta"]
    );
    assert!(rows.len() >= 2, "{trained:?}");
    for row in &rows {
        assert_eq!(row.len(), headers[0].len(), "{row}");
    }
    assert!(
        rows.last()
            .is_some_and(|row| row.starts_with("20/20") && row.ends_with("  -")),
        "{rows:?}"
    );
    for part in [
        "columns |g| norm of the gradient; r iterations without + with gradient;",
        "a row every 2 s at most, and every step is in metrics.jsonl",
        "step 20  checkpoint  497 KiB",
    ] {
        assert!(trained.stderr.contains(part), "{part}: {trained:?}");
    }
    assert!(!trained.stderr.contains("bytes "), "{trained:?}");
}

#[test]
fn too_few_validation_tokens_and_an_unbounded_gradient_are_told_with_a_key_and_a_value() {
    let dir = scratch();
    let trained = smoke_with(
        &dir.path().join("run"),
        &[
            "eval.tokens=64",
            "train.clip=false",
            "train.steps=2",
            "schedule.warmup=1",
        ],
    );
    assert_ok(&trained);
    for part in [
        "warning: eval.tokens: an evaluation of 64 tokens has a standard error of about 0.34 nats, 41 % of a perplexity",
        "try 4096",
        "warning: train.clip: without a bound",
        "try 1.0",
    ] {
        assert!(trained.stderr.contains(part), "{part}: {trained:?}");
    }
    // The text has 200 short lines; a fiftieth of it is 100 tokens.
    let text = "One line of two hundred.\n".repeat(200);
    let lines = dir.path().join("lines.txt");
    std::fs::write(&lines, text).expect("writable");
    let asked = smoke_with(
        &dir.path().join("more"),
        &[
            &format!("data.paths=[\"{}\"]", lines.display()),
            "eval.tokens=100000",
            "data.val_fraction=0.02",
            "train.steps=2",
            "schedule.warmup=1",
        ],
    );
    assert!(
        asked
            .stderr
            .contains("warning: data.val_fraction: an evaluation of "),
        "{asked:?}"
    );
}

#[test]
fn errors_and_warnings_have_the_colours_of_the_command_lines_own() {
    let forced = |args: &[&str]| {
        let mut command = trainer();
        command.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1");
        ended(command.args(args).output().expect("the program starts"))
    };
    let red = "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m";
    for args in [&["absent.toml"][..], &["eval"], &["--shipped", "absent"]] {
        let refused = forced(args);
        assert!(refused.stderr.starts_with(red), "{refused:?}");
    }
    let dry = forced(&[
        "configs/smoke.toml",
        "--device",
        "flex",
        "--dry-run",
        "--set",
        "schedule.peak=1",
    ]);
    assert!(
        dry.stderr
            .contains("\u{1b}[1m\u{1b}[33mwarning:\u{1b}[0m schedule.peak"),
        "{dry:?}"
    );
    let plain = run(["absent.toml"]);
    assert!(plain.stderr.starts_with("error: "), "{plain:?}");
}
