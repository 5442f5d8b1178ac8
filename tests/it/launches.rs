//! Tests the identity of a run: its name, the settings with which it may be resumed, and the record
//! of every launch.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{
    Ended, assert_ok, ended, refused, root, rows, run, scratch, shared_cache, smoke_with, trainer,
};

const SHORT: [&str; 3] = ["train.steps=4", "eval.every=4", "checkpoint.every=2"];

fn short(out: &Path, further: &[&str]) -> Ended {
    smoke_with(out, &[&SHORT[..], further].concat())
}

fn launches(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("launches.jsonl")).expect("launches");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

/// Returns the changed keys that a run has recorded: step, key, old value, new value.
fn changed(run: &Path) -> Vec<(u64, String, String, String)> {
    let events = rows(run, "event").into_iter();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    events
        .filter(|row| row["metrics"]["event"] == "key-changed")
        .map(|row| {
            let metrics = &row["metrics"];
            let step = row["step"].as_u64().expect("a step");
            (
                step,
                text(&metrics["key"]),
                text(&metrics["from"]),
                text(&metrics["to"]),
            )
        })
        .collect()
}

fn lr_sums(run: &Path) -> Vec<(f64, f64)> {
    let number = |row: &Value, name: &str| row["metrics"][name].as_f64().expect("a number");
    let rows = rows(run, "train");
    rows.iter()
        .map(|row| (number(row, "lr"), number(row, "lr_sum")))
        .collect()
}

/// Asserts that every recorded sum is the sum of all learning rates so far, except the rates of
/// skipped steps.
#[track_caller]
fn sums_hold(run: &Path, skipped: &[usize]) {
    let mut sum = 0.0;
    for (index, (lr, found)) in lr_sums(run).into_iter().enumerate() {
        let step = index + 1;
        sum += if skipped.contains(&step) { 0.0 } else { lr };
        assert!(
            (found - sum).abs() < 1e-12,
            "step {step}: {found}, not {sum}"
        );
    }
}

#[test]
fn a_finished_run_is_not_taken_for_one_of_another_configuration() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&short(&out, &[]));
    let metrics = fs::read(out.join("metrics.jsonl")).expect("metrics");
    for (keys, told, name) in [
        (
            &["schedule.peak=1e-3"][..],
            "schedule.peak: 0.004 in the run, 0.001 now",
            "run-peak=1e-3",
        ),
        (
            &["run.seed=7"],
            "run.seed: 0 in the run, 7 now",
            "run-seed=7",
        ),
        (
            &["train.steps=3"],
            "train.steps: 4 in the run, 3 now",
            "run-steps=3",
        ),
        (
            &["eval.tokens=128"],
            "eval.tokens: 256 in the run, 128 now",
            "run-tokens=128",
        ),
        (
            &["train.clip=false"],
            "train.clip: 1.0 in the run, false now",
            "run-clip=false",
        ),
    ] {
        let ended = short(&out, keys);
        refused(&ended, 2, &["nothing was changed", told, name]);
    }
    // If the differences do not affect the computation, the run is the same.
    let same = short(
        &out,
        &[
            "device.threads=1",
            "checkpoint.keep_last=5",
            "metrics.tensorboard=false",
        ],
    );
    assert_ok(&same);
    assert!(same.stderr.contains("is finished at step 4"), "{same:?}");
    assert_eq!(
        fs::read(out.join("metrics.jsonl")).expect("metrics"),
        metrics
    );
    assert_eq!(launches(&out).len(), 1);
}

#[test]
fn a_resume_tells_every_key_that_changed_and_every_launch_is_recorded() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&short(&out, &[]));
    let resumed = short(
        &out,
        &["train.steps=6", "schedule.peak=1e-3", "device.threads=1"],
    );
    assert_ok(&resumed);
    let line = "resumed at 4; changed: device.threads absent → 1, schedule.peak 0.004 → 0.001, \
                train.steps 4 → 6";
    assert!(resumed.stderr.contains(line), "{resumed:?}");
    let expected = [
        (4, "device.threads", "absent", "1"),
        (4, "schedule.peak", "0.004", "0.001"),
        (4, "train.steps", "4", "6"),
    ];
    let expected = expected.map(|(step, key, from, to)| (step, key.into(), from.into(), to.into()));
    assert_eq!(changed(&out), expected);
    sums_hold(&out, &[]);

    let launches = launches(&out);
    assert_eq!(launches.len(), 2);
    for (launch, (first_step, peak)) in launches.iter().zip([(1, 0.004), (5, 0.001)]) {
        assert_eq!(launch["first_step"], first_step, "{launch}");
        assert_eq!(launch["config"]["schedule"]["peak"], peak, "{launch}");
        let time = launch["time"].as_str().expect("a time");
        assert!(
            time.starts_with("20") && time.ends_with('Z') && time.len() == 20,
            "{time}"
        );
        let argv = launch["argv"].as_array().expect("a command");
        assert!(
            argv.iter().any(|word| word == "configs/smoke.toml"),
            "{launch}"
        );
        let commit = launch["commit"].as_str().expect("a commit");
        assert!(commit == "unknown" || commit.len() >= 7, "{commit}");
        assert!(
            launch["dirty"].is_boolean() || launch["dirty"].is_null(),
            "{launch}"
        );
        assert!(
            launch["host"].is_string() || launch["host"].is_null(),
            "{launch}"
        );
        assert!(
            launch["device"]
                .as_str()
                .is_some_and(|device| device.starts_with("flex"))
        );
        assert!(launch.get("driver").is_some(), "{launch}");
    }
}

#[test]
fn a_run_that_goes_back_is_compared_with_what_trained_it_until_there() {
    let dir = scratch();
    let out = dir.path().join("run");
    let kept = ["checkpoint.keep_last=9"];
    assert_ok(&short(&out, &kept));
    let lower = [&kept[..], &["train.steps=6", "schedule.peak=1e-3"]].concat();
    assert_ok(&short(&out, &lower));
    let from = out.join("checkpoints/step-00000002").display().to_string();
    let keys = [&SHORT[..], &lower].concat();
    let mut args = crate::harness::smoke_args(&out, &keys);
    args.extend(["--resume".to_owned(), from]);
    assert_ok(&run(args));
    // The configuration in the directory already has the lower rate, but the first two steps were
    // trained with the higher rate.
    let keys: Vec<(u64, String)> = changed(&out)
        .into_iter()
        .map(|(step, key, ..)| (step, key))
        .collect();
    let expected = [
        (2, "schedule.peak".to_owned()),
        (2, "train.steps".to_owned()),
    ];
    assert_eq!(keys, expected);
    sums_hold(&out, &[]);
    assert_eq!(launches(&out).last().expect("a launch")["first_step"], 3);
}

#[test]
fn the_summed_rate_leaves_out_updates_that_were_not_made_also_after_a_resume() {
    let dir = scratch();
    let (whole, halves) = (dir.path().join("whole"), dir.path().join("halves"));
    let keys = [
        "train.skip_spikes={window=4,deviations=3.0,in_a_row=2}",
        "perturb=[{kind=\"lr-spike\",at_step=11,factor=1000.0,steps=1}]",
        "checkpoint.every=6",
        "checkpoint.keep_last=9",
    ];
    let skipped = |out: &Path| -> Vec<usize> {
        rows(out, "event")
            .iter()
            .filter(|row| row["metrics"]["policy"] == "skip")
            .map(|row| row["step"].as_u64().expect("a step") as usize)
            .collect()
    };
    for out in [&whole, &halves] {
        assert_ok(&smoke_with(out, &keys));
        assert_eq!(skipped(out), [12, 13]);
        sums_hold(out, &[12, 13]);
    }
    for step in ["step-00000018", "step-00000020"] {
        fs::remove_dir_all(halves.join("checkpoints").join(step)).expect("a checkpoint");
    }
    assert_ok(&smoke_with(&halves, &keys));
    assert_eq!(lr_sums(&halves), lr_sums(&whole));
    // The cosine is now longer. The earlier steps used the rates of the shorter cosine.
    assert_ok(&smoke_with(
        &halves,
        &[&keys[..], &["train.steps=30"]].concat(),
    ));
    assert_eq!(lr_sums(&halves).len(), 30);
    // The higher rate of the longer cosine may cause another spike.
    let skipped = skipped(&halves);
    assert!(skipped.starts_with(&[12, 13]), "{skipped:?}");
    sums_hold(&halves, &skipped);
}

#[test]
fn every_record_has_its_time_since_the_start_over_all_launches() {
    let dir = scratch();
    let out = dir.path().join("run");
    let times = || -> Vec<f64> {
        let text = fs::read_to_string(out.join("metrics.jsonl")).expect("metrics");
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["time"].clone())
            .map(|time| time.as_f64().expect("a time"))
            .collect()
    };
    assert_ok(&short(&out, &[]));
    let before = times();
    assert_ok(&short(&out, &["train.steps=6"]));
    let after = times();
    assert!(after.len() > before.len());
    assert_eq!(after[..before.len()], before);
    assert!(after.is_sorted(), "{after:?}");
    assert!(after[0] >= 0.0 && after.last() > before.last(), "{after:?}");
}

#[test]
fn a_directory_in_which_nothing_was_trained_is_free() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("tiny.txt"), "twelve bytes").expect("writable");
    fs::write(
        at("short.txt"),
        "a text of some sixty bytes, too few for a row of training ...",
    )
    .expect("writable");
    let out = at("run");
    for text in ["tiny.txt", "short.txt"] {
        let paths = format!("data.paths=[\"{}\"]", at(text).display());
        let ended = short(&out, &[&paths]);
        assert_eq!(ended.code, 3, "{ended:?}");
        assert!(!out.exists(), "{text}: something was left behind");
    }
    // Older versions left this state, because they detected only later that the text was too short.
    assert_ok(&short(&out, &[]));
    fs::remove_dir_all(out.join("checkpoints")).expect("a folder");
    for left in ["metrics.jsonl", "summary.json"] {
        fs::remove_file(out.join(left)).expect("a file");
    }
    let other = ["train.batch=2", "data.val_fraction=0.2"];
    assert_ok(&short(&out, &other));
    assert_eq!(rows(&out, "train").len(), 4);
    // Neither training records nor a damaged checkpoint may be overwritten.
    fs::remove_dir_all(out.join("checkpoints")).expect("a folder");
    refused(
        &short(&out, &[]),
        4,
        &["train.batch: 2 in the run, 4 now", "--out"],
    );
    fs::create_dir_all(out.join("checkpoints/step-00000004")).expect("a folder");
    fs::remove_file(out.join("metrics.jsonl")).expect("a file");
    let ended = short(&out, &[]);
    assert_eq!(ended.code, 4, "{ended:?}");
}

/// Writes configs/smoke.toml with paths that are valid in another working directory. Returns the
/// path of the file.
fn elsewhere(dir: &Path, name: &str) -> String {
    let text = fs::read_to_string(root().join("configs/smoke.toml")).expect("a configuration");
    let sample = root().join("data/sample.txt");
    let cache = shared_cache().replace("data.cache=", "");
    let data = format!("paths = [\"{}\"]\ncache = \"{cache}\"", sample.display());
    let text = text
        .replace("paths = [\"data/sample.txt\"]", &data)
        .replace("steps = 20", "steps = 2");
    let path = dir.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(&path, text).expect("writable");
    path.display().to_string()
}

#[test]
fn a_run_without_a_directory_is_called_after_what_was_set() {
    let dir = scratch();
    let main = elsewhere(dir.path(), "main.toml");
    let train = |config: &str, further: &[&str]| {
        let mut command = trainer();
        command.current_dir(dir.path());
        command
            .args(["--config", config, "--device", "flex"])
            .args(further);
        let ended = ended(command.output().expect("the program starts"));
        assert_ok(&ended);
        ended
    };
    let names = || {
        let mut names: Vec<String> = fs::read_dir(dir.path().join("runs"))
            .expect("runs")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect();
        names.sort();
        names
    };
    train(&main, &[]);
    train(
        &main,
        &["--set", "schedule.peak=1e-3", "--set", "run.seed=1"],
    );
    assert_eq!(names(), ["main", "main-seed=1+peak=1e-3"]);
    // The same settings in another notation belong to the same run.
    let again = train(
        &main,
        &[
            "--set",
            "run.seed=1",
            "--set",
            "schedule.peak=0.001",
            "--set",
            "train.log_every=1",
        ],
    );
    assert!(again.stderr.contains("is finished at step 2"), "{again:?}");
    // A larger number of steps and other outputs also belong to the same run.
    train(
        &main,
        &["--set", "train.steps=3", "--set", "device.threads=1"],
    );
    assert_eq!(rows(&dir.path().join("runs/main"), "train").len(), 3);
    // The configuration inside a run directory belongs to the run with the directory's name.
    let saved = dir.path().join("runs/main-seed=1+peak=1e-3/config.toml");
    let again = train(&saved.display().to_string(), &[]);
    assert!(again.stderr.contains("is finished at step 2"), "{again:?}");
    train(&elsewhere(dir.path(), "other/config.toml"), &[]);
    assert_eq!(names(), ["main", "main-seed=1+peak=1e-3", "other"]);
}

#[cfg(unix)]
#[test]
fn a_run_whose_configuration_comes_through_a_pipe_is_called_stdin() {
    let dir = scratch();
    let main = elsewhere(dir.path(), "main.toml");
    let mut command = trainer();
    command.current_dir(dir.path());
    command.args(["--config", "/dev/stdin", "--device", "flex"]);
    command.stdin(Stdio::from(fs::File::open(main).expect("a file")));
    assert_ok(&ended(command.output().expect("the program starts")));
    assert!(dir.path().join("runs/stdin/summary.json").is_file());
}
