//! Tests the executable alone: its embedded files, and training in an empty folder without a home,
//! a repository or cargo.

use std::fs;
use std::path::Path;

use crate::harness::{Ended, assert_ok, ended, refused, root, run, scratch, trainer};

/// Runs the program in a folder with an empty home and an empty search path.
fn alone(folder: &Path, args: &[&str]) -> Ended {
    let home = folder.join("home");
    fs::create_dir_all(&home).expect("a folder");
    let mut command = trainer();
    command
        .current_dir(folder)
        .env_clear()
        .env("HOME", home)
        .env("PATH", "")
        .args(args);
    ended(command.output().expect("the program starts"))
}

#[test]
fn the_executable_alone_trains_on_the_text_inside_it_with_one_command() {
    let dir = scratch();
    let short = [
        "train.steps=2",
        "eval.tokens=512",
        "eval.recurrence=[1,4]",
        "schedule.warmup=1",
    ];
    let mut args = vec!["--shipped", "first", "--device", "flex"];
    args.extend(short.iter().flat_map(|key| ["--set", key]));
    let trained = alone(dir.path(), &args);
    assert_ok(&trained);
    for part in [
        "wrote   configs/first.toml",
        "wrote   data/first.txt",
        "run     runs/first",
    ] {
        assert!(trained.stderr.contains(part), "{part}: {trained:?}");
    }
    let text = fs::read(dir.path().join("data/first.txt")).expect("the text");
    assert_eq!(
        text,
        fs::read(root().join("data/first.txt")).expect("a file")
    );
    // The same command resumes the run, and keeps the files that it wrote the first time.
    let again = alone(dir.path(), &args);
    assert_ok(&again);
    assert!(!again.stderr.contains("wrote"), "{again:?}");
    assert!(again.stderr.contains("is finished at step 2"), "{again:?}");
    // Nothing was written to the home folder.
    assert_eq!(
        fs::read_dir(dir.path().join("home"))
            .expect("a folder")
            .count(),
        0
    );
}

#[test]
fn where_the_default_corpus_is_missing_the_text_inside_the_program_is_named() {
    let dir = scratch();
    let ended = alone(dir.path(), &["--shipped", "main", "--device", "flex"]);
    refused(
        &ended,
        3,
        &["cannot read the default corpus", "trainer --shipped first"],
    );
    assert!(!ended.stderr.contains("backtrace"), "{ended:?}");
    refused(
        &alone(dir.path(), &["configs/first.toml"]),
        2,
        &["the program contains it: trainer --shipped first"],
    );
}

#[test]
fn configurations_inside_the_program_are_listed_and_written() {
    let dir = scratch();
    let listed = run(["configs"]);
    assert_ok(&listed);
    for part in ["\nmain ", "\nsweeps/depth ", "trainer --shipped first"] {
        assert!(listed.stdout.contains(part), "{part}: {listed:?}");
    }
    assert!(
        listed.stdout.lines().all(|line| line.chars().count() <= 80),
        "{listed:?}"
    );
    let names = run(["configs", "--json"]).json();
    let names = names["configs"].as_array().map_or(0, Vec::len);
    assert!(names >= 20, "{names}");
    let out = dir.path().display().to_string();
    assert_ok(&run(["configs", "smoke", "--out", &out]));
    let written = fs::read_to_string(dir.path().join("configs/smoke.toml")).expect("a file");
    assert!(written.starts_with("# A whole run in seconds"), "{written}");
    assert!(dir.path().join("data/sample.txt").is_file());
    refused(&run(["configs", "smok"]), 2, &["did you mean `smoke`?"]);
    refused(
        &run(["first"]),
        2,
        &["a configuration inside the program is: trainer --shipped first"],
    );
}
