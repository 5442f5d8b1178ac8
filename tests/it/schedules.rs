//! Tests learning-rate schedules and curricula: `trainer schedule` must show what training does.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{assert_ok, rows, run, scratch, smoke};

/// Every shape of schedule, with lengths in different units.
const SHAPES: &[&str] = &[
    r#"{kind="constant"}"#,
    r#"{kind="linear"}"#,
    r#"{kind="cosine"}"#,
    r#"{kind="polynomial",power=2.0}"#,
    r#"{kind="exponential"}"#,
    r#"{kind="inverse-sqrt"}"#,
    r#"{kind="step",every={tokens=512},factor=0.5}"#,
    r#"{kind="multi-step",at=[8,12],factor=0.1}"#,
    r#"{kind="cyclic",period={fraction=0.3}}"#,
    r#"{kind="cyclic",wave="cosine",period=3,growth=2}"#,
    r#"{kind="trapezoid",cooldown={fraction=0.4},decay="1-sqrt"}"#,
    r#"{kind="piecewise",points=[[10,0.5],[10,1.0],[{steps},0.0]]}"#,
];

const FLOOR: &str = "schedule.floor=1e-4";
const CURRICULUM: &str = "model.recurrence.curriculum={mean={from=1,over={fraction=0.5},\
                          shape=\"1-sqrt\"},backprop_depth={from=1,over=6}}";

/// Returns the step, `lr` and `lr_sum` of every step of a run.
fn trained(out: &Path) -> Vec<(u64, f64, f64)> {
    let number = |row: &Value, name: &str| row["metrics"][name].as_f64().expect("a number");
    rows(out, "train")
        .iter()
        .map(|row| {
            let step = row["step"].as_u64().expect("a step");
            (step, number(row, "lr"), number(row, "lr_sum"))
        })
        .collect()
}

/// Returns what `trainer schedule` shows for every step of configs/smoke.toml.
fn shown(keys: &[&str]) -> Value {
    let mut args = vec!["schedule", "configs/smoke.toml", "--every", "1", "--json"];
    keys.iter().for_each(|key| args.extend(["--set", key]));
    let ended = run(args);
    assert_ok(&ended);
    ended.json()["configs"][0].clone()
}

fn points(shown: &Value) -> Vec<(u64, f64, f64)> {
    let points = shown["points"].as_array().expect("points").iter();
    points
        .map(|point| {
            let number = |name: &str| point[name].as_f64().expect("a number");
            let step = point["step"].as_u64().expect("a step");
            (step, number("lr"), number("lr_sum"))
        })
        .collect()
}

#[test]
fn training_takes_the_rates_that_are_shown_and_a_resume_changes_none() {
    let dir = scratch();
    for (index, shape) in SHAPES.iter().enumerate() {
        let shape = format!("schedule.shape={}", shape.replace("{steps}", "20"));
        let out = dir.path().join(index.to_string());
        let args = ["--set", &shape, "--set", FLOOR];
        assert_ok(&smoke(&out, &args));
        let shown = points(&shown(&[&shape, FLOOR]));
        assert_eq!(shown.len(), 20);
        assert_eq!(trained(&out), shown, "{shape}");
        // This is the state after a kill between the two checkpoints.
        fs::remove_dir_all(out.join("checkpoints/step-00000020")).expect("a checkpoint");
        fs::remove_file(out.join("summary.json")).expect("a summary");
        assert_ok(&smoke(&out, &args));
        assert_eq!(rows(&out, "event").len(), 1 + 1 + 1, "{shape}");
        assert_eq!(trained(&out), shown, "{shape}");
    }
}

#[test]
fn a_curriculum_is_shown_and_bounds_what_is_trained() {
    let dir = scratch();
    let shown = shown(&[CURRICULUM]);
    let points = shown["points"].as_array().expect("points");
    let counts = |name: &str| -> Vec<u64> {
        let counts = points
            .iter()
            .map(|point| point[name].as_u64().expect("a count"));
        counts.collect()
    };
    // The mean recurrence is 1 + 3·(1 − √(1 − x)) with x = 0, 0.1, …: 1, 1.15, 1.32, 1.49, 1.68,
    // 1.88, 2.10, 2.36, 2.66, 3.05.
    let mean = counts("mean_recurrence");
    assert_eq!(mean[..11], [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4]);
    // The backprop depth is 1 + x with x = 0, 1/6, …, rounded: 2 from x = ½ on.
    let backprop_depth = counts("backprop_depth");
    assert_eq!(backprop_depth[..7], [1, 1, 1, 2, 2, 2, 2]);
    let out = dir.path().join("run");
    let args = [
        "--set",
        CURRICULUM,
        "--set",
        "model.recurrence.sampler=fixed",
    ];
    assert_ok(&smoke(&out, &args));
    for (row, (mean, depth)) in rows(&out, "train")
        .iter()
        .zip(mean.iter().zip(backprop_depth))
    {
        let metrics = &row["metrics"];
        assert_eq!(metrics["recurrence"].as_f64(), Some(*mean as f64), "{row}");
        let with_grad = depth.min(*mean) as f64;
        assert_eq!(
            metrics["num_steps_with_grad"].as_f64(),
            Some(with_grad),
            "{row}"
        );
    }
}

#[test]
fn schedules_are_drawn_and_a_sweep_shows_all_of_its_runs() {
    let dir = scratch();
    let out = dir.path().display().to_string();
    let args = [
        "schedule",
        "configs/sweeps/lr-schedules.toml",
        "configs/main.toml",
    ];
    let ended = run(args.iter().chain(&["--plot", "--out", &out]));
    assert_ok(&ended);
    assert!(
        ended.stdout.contains("\nmain: 300 steps, peak 2.0e-3"),
        "{ended:?}"
    );
    assert!(
        ended.stdout.lines().all(|line| line.chars().count() <= 80),
        "{ended:?}"
    );
    for extension in ["svg", "png", "csv"] {
        assert!(dir.path().join(format!("schedule.{extension}")).is_file());
    }
    let table = fs::read_to_string(dir.path().join("schedule.csv")).expect("a table");
    assert_eq!(table.lines().count(), 1 + 54 * 200 + 300);
    assert_eq!(table.lines().last(), Some("main,300,0.002,0.561,16,8"));
}

#[test]
fn schedules_that_cannot_be_are_refused_by_key() {
    let refused = |key: &str| {
        let ended = run(["schedule", "configs/smoke.toml", "--set", key]);
        assert_eq!(ended.code, 2, "{ended:?}");
        ended.stderr
    };
    assert!(refused("schedule.shape={kind=\"exponential\"}").contains("schedule.floor"));
    assert!(refused("schedule.warmup={tokens=1,fraction=0.1}").contains("schedule.warmup"));
    assert!(refused("schedule.warmup={fraction=1.5}").contains("schedule.warmup.fraction"));
    assert!(refused("schedule.shape={kind=\"cosin\"}").contains("cosine"));
}

/// Returns the warnings about schedules and depths in standard error. The diagnosis of a run may
/// print further warnings.
fn warnings(stderr: &str) -> Vec<&str> {
    let is_ours = |line: &&str| {
        line.starts_with("warning: ")
            && (line.contains("schedule") || line.contains("model.recurrence"))
    };
    stderr.lines().filter(is_ours).collect()
}

#[test]
fn what_a_run_does_not_come_to_is_said_once_wherever_a_schedule_is_read() {
    let dir = scratch();
    let cases: [(&str, &str); 5] = [
        ("schedule.warmup=1000", "schedule.warmup: "),
        ("schedule.warmup={fraction=1.0}", "schedule.warmup: "),
        (
            "schedule.shape={kind=\"trapezoid\",cooldown=500}",
            "schedule.shape.cooldown: ",
        ),
        (
            "schedule.shape={kind=\"multi-step\",at=[8,20],factor=0.1}",
            "schedule.shape.at.1: ",
        ),
        (
            "model.recurrence.backprop_depth=32",
            "model.recurrence.backprop_depth: ",
        ),
    ];
    for (index, (key, expected)) in cases.iter().enumerate() {
        let told = |text: &str| {
            let found = warnings(text);
            assert_eq!(found.len(), 1, "{key}: {text}");
            assert!(found[0].contains(expected), "{key}: {text}");
        };
        let shown = run(["schedule", "configs/smoke.toml", "--json", "--set", key]);
        assert_ok(&shown);
        told(&shown.stderr);
        let listed = &shown.json()["configs"][0]["warnings"];
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
        let dry = run([
            "--config",
            "configs/smoke.toml",
            "--device",
            "flex",
            "--dry-run",
            "--set",
            key,
        ]);
        assert_ok(&dry);
        told(&dry.stderr);
        // A run prints the warning before its first step, even with --quiet.
        let out = dir.path().join(index.to_string());
        let trained = smoke(&out, &["--quiet", "--set", key]);
        assert_ok(&trained);
        told(&trained.stderr);
    }
}

#[test]
fn the_shipped_configurations_come_to_all_that_they_ask_for() {
    let mut args = vec!["schedule".to_owned()];
    for name in [
        "main",
        "baseline",
        "smoke",
        "sparse",
        "sparse-event",
        "bench",
        "bench-deep",
        "bench-small",
        "bench-wide",
        "sweeps/lr-schedules",
        "sweeps/depth",
    ] {
        args.push(format!("configs/{name}.toml"));
    }
    let shown = run(args);
    assert_ok(&shown);
    assert!(warnings(&shown.stderr).is_empty(), "{}", shown.stderr);
    // The configurations of the failing runs have the rates at which they fail.
    let failed = run([
        "schedule",
        "configs/bad-run-1.toml",
        "configs/bad-run-2.toml",
    ]);
    assert_ok(&failed);
    let told = warnings(&failed.stderr);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter()
            .all(|text| text.contains("schedule.peak: at a rate of")),
        "{told:?}"
    );
}

#[test]
fn a_rate_that_jumps_because_a_finished_run_gets_more_steps_is_told() {
    let dir = scratch();
    for (shape, floor, jumps) in [
        ("cosine", "0.0", true),
        ("linear", "1e-6", true),
        ("constant", "0.0", false),
    ] {
        let out = dir.path().join(shape);
        let shape = format!("schedule.shape.kind={shape}");
        let floor = format!("schedule.floor={floor}");
        let keys = ["--set", &shape, "--set", &floor];
        let first = smoke(&out, &keys);
        assert_ok(&first);
        assert!(warnings(&first.stderr).is_empty(), "{first:?}");
        let more = smoke(&out, &[&keys[..], &["--set", "train.steps=40"]].concat());
        assert_ok(&more);
        let told = warnings(&more.stderr);
        assert_eq!(told.len(), usize::from(jumps), "{more:?}");
        assert!(
            told.iter().all(|text| text.contains("at step 20, ")),
            "{told:?}"
        );
    }
}
