//! A resumed run continues exactly from the saved state.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::families::{OF_OTHER_FAMILIES, WHOLE_STACK};
use crate::harness::{
    Ended, assert_ok, copy_folder, rows, run, scratch, smoke, smoke_with, timeless_rows,
};

/// Asserts that a run of twenty steps and a run that is resumed after ten steps end with the same
/// bits.
fn goes_on_bit_for_bit(train: &dyn Fn(&Path) -> Ended, what: &str) {
    let dir = scratch();
    let (whole, resumed) = (dir.path().join("whole"), dir.path().join("resumed"));
    assert_ok(&train(&whole));
    copy_folder(&whole, &resumed);
    fs::remove_dir_all(resumed.join("checkpoints/step-00000020")).expect("the last checkpoint");
    assert_ok(&train(&resumed));
    for file in [
        "model.safetensors",
        "optimizer.safetensors",
        "progress.json",
    ] {
        let read = |run: &Path| {
            fs::read(run.join("checkpoints/step-00000020").join(file)).expect("a checkpoint file")
        };
        assert!(read(&whole) == read(&resumed), "{file} differs: {what}");
    }
    for kind in ["train", "eval"] {
        assert_eq!(timeless_rows(&whole, kind), timeless_rows(&resumed, kind));
    }
    let resumed = rows(&resumed, "event");
    let is_resume = |row: &Value| row["metrics"]["event"] == "resume";
    assert!(resumed.iter().any(is_resume), "{resumed:?}");
}

#[test]
fn twenty_steps_are_ten_and_ten_bit_for_bit() {
    for keys in [
        &["optimizer.kind=raven-adam"][..],
        &["optimizer.kind=adamw", "train.accumulation=2"],
        &["optimizer.kind=muon"],
        &["model.recurrence.sampler=fixed"],
        &["model.recurrence.sampler=uniform"],
        &["model.recurrence.sampler=full"],
        &[
            "model.recurrence.curriculum={mean={from=1,over=15},backprop_depth={from=1,over={fraction=0.8}}}",
            "schedule.shape={kind=\"trapezoid\",cooldown={fraction=0.6},decay=\"1-sqrt\"}",
        ],
        &["device.precision=bf16", "device.threads=1"],
        &["train.skip_spikes={window=4,deviations=0.5}"],
        &WHOLE_STACK,
        &OF_OTHER_FAMILIES,
    ] {
        goes_on_bit_for_bit(&|out| smoke_with(out, keys), &keys.join(" "));
    }
}

#[test]
fn runs_on_tasks_go_on_bit_for_bit_inside_their_curricula() {
    for data in [
        "kind = \"word-problem\"\ncurriculum = { start = 4, step = 2, max = 12, pass_accuracy = 0.01 }",
        "kind = \"arithmetic\"\ncurriculum = { start = 1, step = 1, max = 3, pass_accuracy = 0.01 }",
    ] {
        let text = format!(
            "[data]\n{data}\n[model]\nd_model = 32\nn_heads = 2\nd_ff = 64\n\
             layers = {{ prelude = 1, core = 1, coda = 1 }}\n\
             recurrence = {{ mean = 4, backprop_depth = 2, max = 8 }}\n[schedule]\npeak = 2e-3\n\
             [train]\nsteps = 20\nbatch = 4\naccumulation = 2\nlog_every = 1\n\
             [eval]\nevery = 10\nrecurrence = [1, 4]\ntokens = 512\n[checkpoint]\nevery = 10\n"
        );
        let dir = scratch();
        let config = dir.path().join("task.toml");
        fs::write(&config, text).expect("a configuration");
        let config = config.display().to_string();
        let train = |out: &Path| {
            let out = out.display().to_string();
            run(["--config", &config, "--device", "flex", "--out", &out])
        };
        goes_on_bit_for_bit(&train, data);
    }
}

#[test]
fn a_second_start_of_a_finished_run_says_so_and_changes_nothing() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let metrics = fs::read(out.join("metrics.jsonl")).expect("metrics");
    let again = smoke(&out, &[]);
    assert_ok(&again);
    assert!(again.stderr.contains("finished"), "{again:?}");
    assert_eq!(
        fs::read(out.join("metrics.jsonl")).expect("metrics"),
        metrics
    );
    let never = smoke(&out, &["--resume", "never"]);
    assert_eq!(never.code, 2, "{never:?}");
    assert_ok(&smoke(&out, &["--overwrite", "--set", "train.steps=2"]));
    assert_eq!(rows(&out, "train").len(), 2);
}

#[test]
fn a_summary_that_a_kill_has_cost_is_written_again() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let read = || -> Value {
        let text = fs::read_to_string(out.join("summary.json")).expect("a summary");
        serde_json::from_str(&text).expect("JSON")
    };
    let before = read();
    fs::remove_file(out.join("summary.json")).expect("a summary");
    let (train, eval) = (rows(&out, "train"), rows(&out, "eval"));
    assert_ok(&smoke(&out, &[]));
    assert_eq!(read(), before);
    assert_eq!(rows(&out, "train"), train);
    assert_eq!(rows(&out, "eval"), eval);
}

#[test]
fn a_larger_budget_extends_a_run_and_another_model_is_refused_by_key() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &["--set", "train.steps=4"]));
    assert_ok(&smoke(&out, &["--set", "train.steps=6"]));
    assert_eq!(rows(&out, "train").len(), 6);
    let other = smoke(&out, &["--set", "train.steps=8", "--set", "model.d_ff=48"]);
    assert_eq!(other.code, 4, "{other:?}");
    assert!(
        other.stderr.contains("model.d_ff: 64 in the run, 48 now"),
        "{other:?}"
    );
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_named() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let file = out.join("checkpoints/step-00000020/model.safetensors");
    let mut bytes = fs::read(&file).expect("weights");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&file, bytes).expect("the file can be written");
    let resumed = smoke(&out, &[]);
    assert_ok(&resumed);
    assert!(
        resumed.stderr.contains("step 20") && resumed.stderr.contains("warning"),
        "{resumed:?}"
    );
    assert_eq!(rows(&out, "train").len(), 20);
}

#[test]
fn a_run_that_goes_back_leaves_its_later_checkpoints_and_summary() {
    let dir = scratch();
    let out = dir.path().join("run");
    let often = [
        "--set",
        "checkpoint.every=5",
        "--set",
        "checkpoint.keep_last=9",
    ];
    assert_ok(&smoke(&out, &often));
    let from = out.join("checkpoints/step-00000010").display().to_string();
    let keys = ["--resume", &from, "--set", "train.steps=12"];
    let back = smoke(&out, &[&often[..], &keys].concat());
    assert_ok(&back);
    assert!(back.stderr.contains("left-00000020"), "{back:?}");
    let found = run([
        "checkpoints",
        &out.display().to_string(),
        "--verify",
        "--json",
    ]);
    assert_ok(&found);
    assert_eq!(found.json()["newest_good"], 12);
    let summary = fs::read_to_string(out.join("summary.json")).expect("a summary");
    let summary: Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(summary["step"], 12, "{summary}");
    assert_ok(&smoke(&out, &often));
    let steps: Vec<_> = rows(&out, "train")
        .iter()
        .map(|row| row["step"].as_u64().expect("a step"))
        .collect();
    assert_eq!(steps, (1..=20).collect::<Vec<_>>());
}

#[test]
fn checkpoints_are_listed_and_what_is_damaged_is_named() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &["--set", "checkpoint.every=5"]));
    let path = out.display().to_string();
    let listed = run(["checkpoints", &path, "--json"]);
    assert_ok(&listed);
    let found = listed.json();
    let steps = |found: &Value| -> Vec<u64> {
        let rows = found["checkpoints"].as_array().expect("checkpoints").iter();
        rows.map(|row| row["step"].as_u64().expect("a step"))
            .collect()
    };
    assert_eq!(steps(&found), [15, 20]);
    assert_eq!(found["checkpoints"][0]["state"], "not verified");
    assert_eq!(found["best"], 20);
    let launches = fs::read_to_string(out.join("launches.jsonl")).expect("launches");
    let launch: Value = serde_json::from_str(launches.trim()).expect("one launch");
    assert!(launch["time"].is_string(), "{launch}");
    assert_eq!(found["checkpoints"][1]["launch"], launch["time"]);
    let whole = run(["checkpoints", &path, "--verify"]);
    assert_ok(&whole);
    assert!(whole.stdout.contains("newest good: step 20"), "{whole:?}");
    let model = out.join("checkpoints/step-00000020/model.safetensors");
    let mut bytes = fs::read(&model).expect("a model");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&model, bytes).expect("a model");
    let damaged = run(["checkpoints", &path, "--verify", "--json"]);
    assert_eq!(damaged.code, 4, "{damaged:?}");
    let found = damaged.json();
    assert_eq!(found["newest_good"], 15);
    assert_eq!(found["checkpoints"][1]["state"], "damaged");
    let damage = found["checkpoints"][1]["damage"]
        .as_str()
        .expect("a reason");
    assert!(damage.contains("model.safetensors"), "{damage}");
    fs::write(out.join("metrics.jsonl"), "none\n").expect("metrics");
    let without_losses = run(["checkpoints", &path, "--verify"]);
    assert_eq!(without_losses.code, 4, "{without_losses:?}");
    let told = &without_losses.stdout;
    assert!(told.contains("newest good: step 15"), "{without_losses:?}");
    assert!(
        without_losses
            .stderr
            .contains("line 1 is not a metrics record")
    );
    assert_eq!(
        run(["checkpoints", &dir.path().display().to_string()]).code,
        2
    );
}

#[test]
fn another_process_in_the_same_directory_is_refused() {
    let dir = scratch();
    let out = dir.path().join("run");
    fs::create_dir_all(&out).expect("a folder");
    let lock = fs::File::create(out.join(".lock")).expect("a lock file");
    lock.lock().expect("the lock is free");
    let ended = smoke(&out, &[]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.stderr.contains("another process"), "{ended:?}");
}
