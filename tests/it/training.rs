//! Tests golden losses, accumulation, fine-tuning and interruption.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{
    assert_ok, ended, losses, root, rows, run, scratch, smoke, smoke_with, trainer,
};

/// Other processors add products in another order. Over 20 steps, this effect grows to about 1e-5.
const GOLDEN_TOLERANCE: f64 = 1e-4;

#[test]
fn smoke_has_its_golden_losses() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let found = losses(&out);
    let path = root().join("tests/golden/smoke-losses.txt");
    if std::env::var_os("RONDO_BLESS").is_some() {
        let lines = (1..)
            .zip(&found)
            .map(|(step, loss)| format!("{step} {loss:.7}\n"));
        fs::write(&path, lines.collect::<String>()).expect("the golden file can be written");
    }
    let golden = fs::read_to_string(&path).expect("the golden file is there");
    let expected: Vec<f64> = golden
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.parse().ok())
        .collect();
    assert_eq!(expected.len(), 20);
    assert_eq!(found.len(), 20);
    for (step, (found, expected)) in (1..).zip(found.iter().zip(&expected)) {
        assert!(
            (found - expected).abs() < GOLDEN_TOLERANCE,
            "step {step}: {found}, not {expected}"
        );
    }
    assert!(found[19] < found[0] - 1.0, "the loss falls: {found:?}");
}

#[test]
fn two_micro_batches_of_two_take_the_step_of_one_batch_of_four() {
    let dir = scratch();
    let run = |name: &str, batch: &str, accumulation: &str| {
        let out = dir.path().join(name);
        // From zero states, both ways to divide the batch compute the same function.
        let further = [
            "--set",
            "model.state_init=zero",
            "--set",
            "train.steps=6",
            "--set",
            batch,
            "--set",
            accumulation,
        ];
        assert_ok(&smoke(&out, &further));
        losses(&out)
    };
    let whole = run("whole", "train.batch=4", "train.accumulation=1");
    let split = run("split", "train.batch=2", "train.accumulation=2");
    assert_eq!(whole.len(), 6);
    for (a, b) in whole.iter().zip(&split) {
        assert!((a - b).abs() < GOLDEN_TOLERANCE, "{whole:?} {split:?}");
    }
}

#[test]
fn iterations_that_backward_runs_again_change_no_number_of_a_run() {
    let dir = scratch();
    let run = |name: &str, recompute: [&str; 2]| {
        let out = dir.path().join(name);
        for (steps, recompute) in ["train.steps=4", "train.steps=8"].iter().zip(recompute) {
            let recompute = format!("model.recurrence.recompute={recompute}");
            let split = ["train.batch=2", "train.accumulation=2"];
            let keys = [*steps, &recompute, split[0], split[1]];
            assert_ok(&smoke_with(&out, &keys));
        }
        let numbers = |row: &serde_json::Value| {
            [
                "loss",
                "grad_norm",
                "hidden_state_corr",
                "iterations.residual",
            ]
            .map(|name| row["metrics"][name].clone())
        };
        rows(&out, "train").iter().map(numbers).collect::<Vec<_>>()
    };
    let expected = run("kept", ["none", "none"]);
    assert_eq!(expected.len(), 8);
    assert!(
        expected.iter().flatten().all(|value| !value.is_null()),
        "{expected:?}"
    );
    assert_eq!(run("again", ["iteration", "iteration"]), expected);
    assert_eq!(run("changed", ["none", "iteration"]), expected);
}

#[test]
fn products_of_bf16_train_nearly_the_same_and_go_on_bit_for_bit() {
    let dir = scratch();
    let run = |name: &str, further: &[&str]| {
        let out = dir.path().join(name);
        assert_ok(&smoke(&out, further));
        losses(&out)
    };
    let rounded = ["--set", "device.precision=bf16"];
    let (whole, exact) = (run("whole", &rounded), run("exact", &[]));
    assert_ne!(whole, exact);
    for (rounded, exact) in whole.iter().zip(&exact) {
        // Numbers with 8 bits of significand have a relative error of at most 2^-9. This changes
        // the loss over twenty steps at a learning rate of 4e-3.
        assert!(
            (rounded / exact - 1.0).abs() < 0.02,
            "{rounded} beside {exact}"
        );
    }
    let first = [&rounded[..], &["--set", "train.steps=10"]].concat();
    // A cosine ends at the last step of the budget. A run in two parts therefore needs a schedule
    // whose rates do not depend on the budget.
    let constant = ["--set", "schedule.shape={ kind = \"constant\" }"];
    let parts = |steps: &[&str]| run("parts", &[steps, &constant[..]].concat());
    parts(&first);
    let resumed = parts(&rounded);
    assert_eq!(
        resumed,
        run("constant", &[&rounded[..], &constant[..]].concat())
    );
    let one_thread = [&rounded[..], &["--set", "device.threads=1"]].concat();
    assert_eq!(run("one-thread", &one_thread), whole);
}

/// Returns the peak memory of a process that trains one step; activations dominate at this shape.
/// The process has one thread, because the peak of two threads depends on their scheduling.
#[cfg(target_os = "linux")]
fn peak_memory(iterations: usize, backprop_depth: usize, recompute: &str) -> f64 {
    let keys = [
        "model.d_model=64".to_owned(),
        "model.d_ff=256".to_owned(),
        "model.vocab_size=64".to_owned(),
        "model.layers.core=4".to_owned(),
        "train.seq=128".to_owned(),
        "device.threads=1".to_owned(),
        format!("model.recurrence.mean={iterations}"),
        format!("model.recurrence.backprop_depth={backprop_depth}"),
        format!("model.recurrence.recompute={recompute}"),
    ];
    let mut args = vec![
        "bench", "--device", "flex", "--json", "--warmup", "0", "--steps", "1",
    ];
    args.extend(keys.iter().flat_map(|key| ["--set", key]));
    let ended = run(&args);
    assert_ok(&ended);
    ended.json()["peak_memory_bytes"]
        .as_f64()
        .expect("Linux tells")
}

#[cfg(target_os = "linux")]
#[test]
fn memory_is_flat_in_iterations_without_gradient_and_in_those_that_are_run_again() {
    let one = peak_memory(1, 1, "none");
    let eight = peak_memory(8, 8, "none");
    assert!(eight > 2.0 * one, "{eight} {one}");
    let free = peak_memory(57, 1, "none");
    assert!(free < 1.3 * one, "{free} {one}");
    let one = peak_memory(1, 1, "iteration");
    let again = peak_memory(8, 8, "iteration");
    assert!(again < 1.3 * one, "{again} {one}");
}

#[test]
fn a_fine_tuned_run_starts_where_the_other_ended() {
    let dir = scratch();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    assert_ok(&smoke(&first, &[]));
    let from = format!("init.from={}", first.display());
    assert_ok(&smoke(&second, &["--set", &from, "--set", "train.steps=4"]));
    let last = rows(&first, "eval").pop().expect("an evaluation");
    let start = rows(&second, "eval").remove(0);
    assert_eq!(start["step"], 0);
    for depth in ["val_loss@1", "val_loss@4", "val_loss@8"] {
        assert_eq!(start["metrics"][depth], last["metrics"][depth], "{depth}");
    }
}

#[test]
fn every_optimizer_lowers_the_loss() {
    for optimizer in ["raven-adam", "adamw", "muon"] {
        let dir = scratch();
        let out = dir.path().join("run");
        let kind = format!("optimizer.kind={optimizer}");
        assert_ok(&smoke(&out, &["--set", &kind, "--set", "train.clip=false"]));
        let losses = losses(&out);
        assert!(losses[19] < losses[0] - 0.5, "{optimizer}: {losses:?}");
    }
}

#[test]
fn a_gradient_that_is_not_finite_stops_the_run_before_the_update() {
    let dir = scratch();
    let out = dir.path().join("run");
    let ended = smoke(
        &out,
        &["--set", "schedule.peak=1e30", "--set", "schedule.warmup=0"],
    );
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.stderr.contains("recurrence"), "{ended:?}");
    let events = rows(&out, "event");
    let saved = events
        .iter()
        .filter(|row| row["metrics"]["event"] == "checkpoint")
        .count();
    assert_eq!(
        saved, 1,
        "the weights before the failed step are kept: {events:?}"
    );
    assert!(
        events
            .iter()
            .any(|row| row["metrics"]["event"] == "nonfinite"),
        "{events:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_terminated_run_saves_and_goes_on() {
    let dir = scratch();
    let out = dir.path().join("run");
    let long = ["--set", "train.steps=100000", "--set", "eval.every=100000"];
    let child = trainer()
        .args([
            "--config",
            "configs/smoke.toml",
            "--device",
            "flex",
            "--out",
        ])
        .arg(&out)
        .args(long)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let waited = Instant::now();
    let trained = || {
        fs::read_to_string(out.join("metrics.jsonl")).is_ok_and(|text| text.contains("\"train\""))
    };
    while !trained() {
        assert!(
            waited.elapsed() < Duration::from_mins(2),
            "no step within two minutes"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let killed = std::process::Command::new("kill")
        .arg(child.id().to_string())
        .status();
    assert!(killed.is_ok_and(|status| status.success()));
    let stopped = ended(child.wait_with_output().expect("the program ends"));
    assert_eq!(stopped.code, 75, "{stopped:?}");
    let done = rows(&out, "train").len();
    let steps = format!("train.steps={}", done + 3);
    let resumed = run([
        "--config",
        "configs/smoke.toml",
        "--device",
        "flex",
        "--set",
        "eval.every=100000",
        "--set",
        &steps,
        "--out",
        &out.display().to_string(),
    ]);
    assert_ok(&resumed);
    let steps: Vec<u64> = rows(&out, "train")
        .iter()
        .filter_map(|row| row["step"].as_u64())
        .collect();
    assert_eq!(
        steps,
        (1..=done as u64 + 3).collect::<Vec<_>>(),
        "no row doubled, none missing"
    );
}
