//! Messages tell the user how to continue: what must be trained first, where a file was looked for,
//! and which command was probably meant.

use std::fs;
use std::path::Path;

use crate::harness::{assert_ok, ended, refused, root, run, scratch, smoke, smoke_with, trainer};

/// Runs the program in the folder `folder`.
fn run_in(folder: &Path, args: &[&str]) -> crate::harness::Ended {
    let mut command = trainer();
    ended(
        command
            .current_dir(folder)
            .args(args)
            .output()
            .expect("the program starts"),
    )
}

#[test]
fn a_run_that_is_not_there_is_answered_with_the_command_that_trains_it() {
    let dir = scratch();
    fs::create_dir(dir.path().join("configs")).expect("a folder");
    fs::copy(
        root().join("configs/main.toml"),
        dir.path().join("configs/main.toml"),
    )
    .expect("a file");
    let first = "there is no run at runs/main; train it first: trainer configs/main.toml";
    for args in [
        &["eval", "runs/main"][..],
        &["generate", "runs/main", "--prompt", "a"],
    ] {
        refused(&run_in(dir.path(), args), 2, &[first]);
    }
    refused(
        &run_in(dir.path(), &["eval", "elsewhere/main"]),
        2,
        &["train it first: trainer configs/main.toml --out elsewhere/main"],
    );
    refused(
        &run_in(dir.path(), &["eval", "runs/mine"]),
        2,
        &["there is no run at runs/mine; train it first: trainer CONFIG --out runs/mine"],
    );
}

#[test]
fn weights_to_start_from_that_are_not_there_name_what_to_train_first() {
    let dir = scratch();
    let ended = smoke_with(&dir.path().join("run"), &["init.from=runs/absent"]);
    refused(
        &ended,
        4,
        &[
            "init.from: there is no run at runs/absent; train it first: trainer CONFIG --out runs/absent",
        ],
    );
}

#[test]
fn weights_of_another_shape_are_refused_in_one_line_with_the_keys() {
    let dir = scratch();
    let wide = dir.path().join("wide");
    let two_steps = ["train.steps=2", "schedule.warmup=1"];
    assert_ok(&smoke_with(
        &wide,
        &[&two_steps[..], &["model.d_model=64"]].concat(),
    ));
    let from = format!("init.from={}", wide.display());
    let other = smoke_with(
        &dir.path().join("narrow"),
        &[&two_steps[..], &[&from]].concat(),
    );
    refused(
        &other,
        4,
        &["has a model of another shape: model.d_model: 64 there, 32 here\n"],
    );
    // Keys that do not change any tensor may differ.
    let keys = [
        &two_steps[..],
        &[&from, "model.d_model=64", "model.recurrence.mean=3"],
    ]
    .concat();
    assert_ok(&smoke_with(&dir.path().join("deeper"), &keys));
}

#[test]
fn a_checkpoint_that_is_not_there_is_answered_with_those_that_are() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let out = out.display().to_string();
    refused(
        &run(["eval", &out, "--checkpoint", "7", "--device", "flex"]),
        4,
        &["those of this run are after the steps ", "10", "20"],
    );
}

#[test]
fn a_relative_path_is_told_with_the_folder_that_it_was_looked_for_in() {
    let dir = scratch();
    let folder = dir.path().canonicalize().expect("a folder");
    let place = format!(
        "it was looked for in {}, where the program runs",
        folder.display()
    );
    let smoke = root().join("configs/smoke.toml").display().to_string();
    let data = run_in(dir.path(), &[&smoke, "--device", "flex"]);
    refused(&data, 3, &["cannot read data/sample.txt", &place]);
    refused(
        &run_in(dir.path(), &["mine.toml"]),
        2,
        &["cannot read the configuration mine.toml", &place],
    );
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

#[test]
fn commands_of_other_programs_are_answered_with_those_here() {
    for (word, here) in [
        ("chat", "trainer generate RUN --prompt TEXT"),
        ("resume", "resumes it"),
        ("validate", "--dry-run"),
        ("plot", "trainer figure NAME RUN"),
        ("finetune", "trainer FILE"),
    ] {
        let told = format!("no command and no file is called `{word}`; here it is trainer");
        refused(&run([word]), 2, &[&told, here]);
    }
}

#[test]
fn completions_offer_no_hidden_option_and_no_device_that_this_build_lacks() {
    let script = run(["completions", "bash"]);
    assert_ok(&script);
    assert!(
        !script.stdout.contains("stdin"),
        "a sweep speaks to its runs otherwise"
    );
    assert_eq!(script.stdout.contains("rocm"), cfg!(feature = "rocm"));
}
