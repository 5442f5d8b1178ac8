//! Tests the event files for TensorBoard: where they are, and what they contain.

#[path = "../../crates/rondo-metrics/src/tensorboard/tests/reader.rs"]
#[allow(dead_code, reason = "the tests of rondo-metrics use all of it")]
mod reader;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rondo_metrics::tensorboard::event_files;

use self::reader::{Field, Found, values};
use crate::harness::{
    assert_ok, copy_folder, ended, root, rows, run, scratch, smoke_args, smoke_with, trainer,
};

const FINISHED: &str = "_hparams_/session_end_info";

fn files(run: &Path) -> Vec<PathBuf> {
    event_files(run).expect("a folder")
}

/// Returns every value in the event files of a run.
fn all_values(run: &Path) -> Vec<Found> {
    files(run).iter().flat_map(|file| values(file)).collect()
}

/// Returns the steps of the scalars with this tag.
fn steps(values: &[Found], tag: &str) -> Vec<u64> {
    let of_tag = values
        .iter()
        .filter(|found| found.tag == tag && found.scalar().is_some());
    of_tag.map(|found| found.step).collect()
}

#[test]
fn a_run_has_grouped_tags_its_configuration_and_its_hyperparameters_in_its_own_folder() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke_with(&out, &["eval.prompts=['To be']"]));
    assert!(!out.join("tensorboard").exists());
    let values = all_values(&out);
    let groups: BTreeSet<&str> = values
        .iter()
        .filter(|found| found.scalar().is_some())
        .map(|found| found.tag.split_once('/').expect("a group").0)
        .collect();
    let expected = ["hparam", "iterations", "speed", "state", "train", "val"];
    assert_eq!(groups, BTreeSet::from(expected));
    assert_eq!(steps(&values, "train/loss"), (1..=20).collect::<Vec<_>>());
    assert_eq!(steps(&values, "val/perplexity@8"), [0, 10, 20]);
    let last = rows(&out, "eval").pop().expect("an evaluation");
    let loss = values.iter().rfind(|found| found.tag == "val/loss@8");
    let loss = loss.and_then(Found::scalar).expect("a loss");
    let written = last["metrics"]["val_loss@8"].as_f64().expect("a loss");
    assert!((f64::from(loss) - written).abs() <= f64::from(f32::EPSILON) * written);
    let by_tag: BTreeMap<&str, &Found> = values
        .iter()
        .map(|found| (found.tag.as_str(), found))
        .collect();
    let configuration = by_tag["configuration"].words();
    for line in ["    [schedule]\n", "    peak = 0.004\n"] {
        assert!(configuration.contains(line), "{configuration}");
    }
    let text = by_tag["samples/To be"].words();
    assert!(text.contains("**recurrence 1**\n\n    To be"), "{text}");
    let start = by_tag["_hparams_/session_start_info"].plugin().1.message(3);
    let peak = start
        .messages(1)
        .into_iter()
        .find(|entry| entry.text(1) == "schedule.peak")
        .expect("a key");
    assert_eq!(peak.message(2).all(2).next(), Some(&Field::Double(0.004)));
    assert!(by_tag.contains_key(FINISHED));
}

#[test]
fn a_run_that_goes_on_has_each_point_once_and_is_finished_at_its_end() {
    let dir = scratch();
    let out = dir.path().join("run");
    let constant = "schedule.shape={kind='constant'}";
    assert_ok(&smoke_with(&out, &["train.steps=10", constant]));
    assert_ok(&smoke_with(&out, &["train.steps=15", constant]));
    assert_eq!(files(&out).len(), 2);
    let values = all_values(&out);
    assert_eq!(steps(&values, "train/loss"), (1..=15).collect::<Vec<_>>());
    let ends = values.iter().filter(|found| found.tag == FINISHED);
    assert_eq!(ends.map(|found| found.step).collect::<Vec<_>>(), [10, 15]);
    // A run that starts from the beginning removes the files of the previous run.
    let over = [
        &smoke_args(&out, &["train.steps=3", constant])[..],
        &["--overwrite".to_owned()],
    ]
    .concat();
    assert_ok(&run(over));
    assert_eq!(files(&out).len(), 1);
    assert_eq!(steps(&all_values(&out), "train/loss"), [1, 2, 3]);
}

#[test]
fn a_run_of_an_older_version_that_goes_on_is_one_run_under_its_name() {
    let dir = scratch();
    let out = dir.path().join("text");
    copy_folder(&root().join("tests/golden/old-run/text"), &out);
    let old = out.join("tensorboard");
    fs::create_dir(&old).expect("a folder can be made");
    fs::write(old.join("events.out.tfevents.1700000000.rondo.1.0"), "").expect("a file");
    fs::create_dir(dir.path().join("data")).expect("a folder can be made");
    let text = "data/sample.txt";
    fs::copy(root().join(text), dir.path().join(text)).expect("the text can be copied");
    let mut command = trainer();
    command.current_dir(dir.path()).args([
        "--config",
        "text/config.toml",
        "--out",
        "text",
        "--set",
        "train.steps=16",
        "--set",
        "metrics.tensorboard=true",
    ]);
    let resumed = ended(command.output().expect("the program starts"));
    assert_ok(&resumed);
    assert!(resumed.stderr.contains("written anew"), "{resumed:?}");
    assert!(!old.exists());
    assert_eq!(files(&out).len(), 1);
    let logged: Vec<u64> = rows(&out, "train")
        .iter()
        .filter_map(|row| row["step"].as_u64())
        .collect();
    assert!(logged.contains(&1) && logged.contains(&16));
    assert_eq!(steps(&all_values(&out), "train/loss"), logged);
}
