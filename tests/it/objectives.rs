//! Tests losses after several iterations, and penalties on the last state, in whole runs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{
    assert_ok, copy_folder, losses, refused, run, scratch, smoke_with, timeless_rows,
};

const SEVERAL: &str = "train.loss={kind=\"mean\",iterations={every=1},weights=\"rising\"}";
const LISTED: &str = "train.loss={kind=\"mean\",iterations=[2,4,8],weights=[1,2,3]}";

/// Combinations in which each penalty and each way to choose iterations occurs.
const OBJECTIVES: [[&str; 3]; 5] = [
    [
        "train.loss=mean",
        "train.accumulation=2",
        "model.recurrence.recompute=\"iteration\"",
    ],
    [LISTED, "train.clip=1.0", "model.block=sandwich"],
    [
        "train.penalty={kind=\"jacobian\",warmup=3}",
        "train.accumulation=2",
        SEVERAL,
    ],
    [
        "train.penalty={kind=\"norm\",weight=0.01}",
        "model.block=pre-norm",
        "train.loss=mean",
    ],
    [
        "train.penalty={kind=\"fixed-point\",warmup=2}",
        "model.injection=history",
        "model.recurrence.recompute=\"iteration\"",
    ],
];

fn read(run: &Path, file: &str) -> Vec<u8> {
    fs::read(run.join("checkpoints/step-00000010").join(file)).expect("a checkpoint")
}

#[test]
fn every_objective_trains_and_goes_on_bit_for_bit_in_the_middle_of_a_run() {
    for objective in OBJECTIVES {
        let dir = scratch();
        let (whole, resumed) = (dir.path().join("whole"), dir.path().join("resumed"));
        let further = ["train.steps=10", "checkpoint.every=5", "train.log_every=1"];
        let keys = [&objective[..], &further].concat();
        assert_ok(&smoke_with(&whole, &keys));
        copy_folder(&whole, &resumed);
        fs::remove_dir_all(resumed.join("checkpoints/step-00000010")).expect("the last checkpoint");
        assert_ok(&smoke_with(&resumed, &keys));
        for file in ["model.safetensors", "optimizer.safetensors"] {
            let same = read(&whole, file) == read(&resumed, file);
            assert!(same, "{objective:?}: {file} differs");
        }
        let train = timeless_rows(&whole, "train");
        assert_eq!(train, timeless_rows(&resumed, "train"), "{objective:?}");
        let losses = losses(&whole);
        assert!(losses[9] < losses[0], "{objective:?}: {losses:?}");
    }
}

fn metrics(run: &Path) -> Vec<Value> {
    let rows = timeless_rows(run, "train").into_iter();
    rows.map(|row| row["metrics"].clone()).collect()
}

#[test]
fn a_penalty_begins_after_its_warmup_and_the_recorded_loss_is_the_cross_entropy() {
    let dir = scratch();
    let train = |name: &str, keys: &[&str]| {
        let out = dir.path().join(name);
        let further = ["train.steps=6", "train.log_every=1"];
        assert_ok(&smoke_with(&out, &[keys, &further].concat()));
        metrics(&out)
    };
    let plain = train("plain", &[]);
    let penalty = "train.penalty={kind=\"jacobian\",weight=0.5,warmup=2}";
    let penalised = train("penalised", &[penalty]);
    for (step, (plain, penalised)) in (1..).zip(plain.iter().zip(&penalised)) {
        let of = |name: &str| &penalised[name];
        // The loss of a step is computed before its update. The update of step 3 is the first with
        // a penalty.
        if step <= 3 {
            assert_eq!(plain["loss"], *of("loss"), "step {step}");
        } else {
            assert_ne!(plain["loss"], *of("loss"), "step {step}");
        }
        let perplexity = of("loss").as_f64().expect("a loss").exp();
        let told = of("perplexity").as_f64().expect("a perplexity");
        assert!((perplexity / told - 1.0).abs() < 1e-9);
        let begun = step > 2;
        assert_eq!(
            of("penalty").as_f64().is_some_and(|p| p > 0.0),
            begun,
            "step {step}"
        );
        assert_eq!(
            of("penalty_weight").as_f64(),
            Some(if begun { 0.5 } else { 0.0 })
        );
    }
}

#[test]
fn cross_entropies_are_recorded_at_the_iterations_that_count_and_the_last_one_is_the_loss() {
    let dir = scratch();
    let out = dir.path().join("run");
    let keys = [LISTED, "train.steps=8", "model.recurrence.backprop_depth=4"];
    assert_ok(&smoke_with(&out, &keys));
    for row in metrics(&out) {
        let series = row["iterations.loss"].as_array().expect("a series");
        let number = |name: &str| row[name].as_u64().or(row[name].as_f64().map(|x| x as u64));
        let (last, free) = (number("recurrence"), number("num_steps_no_grad"));
        let (last, free) = (last.expect("r") as usize, free.expect("n") as usize);
        assert_eq!(series.len(), last);
        for (i, loss) in (1..).zip(series) {
            let counts = i == last || (i > free && [2, 4, 8].contains(&i));
            assert_eq!(
                loss.is_number(),
                counts,
                "iteration {i} of {last}, {free} without gradient"
            );
        }
        assert_eq!(series[last - 1], row["loss"]);
    }
}

#[test]
fn a_step_that_is_not_logged_trains_the_same() {
    let dir = scratch();
    let train = |name: &str, every: &str| {
        let out = dir.path().join(name);
        let every = format!("train.log_every={every}");
        let penalty = "train.penalty={kind=\"jacobian\"}";
        assert_ok(&smoke_with(
            &out,
            &[SEVERAL, penalty, "train.steps=8", &every],
        ));
        let last = metrics(&out).pop().expect("a record");
        ["loss", "penalty", "iterations.loss"].map(|name| last[name].clone())
    };
    assert_eq!(train("each", "1"), train("last", "8"));
}

fn told(command: &str, keys: &[&str]) -> crate::harness::Ended {
    let mut args = vec!["--config", "configs/smoke.toml", "--device", "flex"];
    args.extend(keys.iter().flat_map(|key| ["--set", key]));
    args.extend(command.split(' '));
    let ended = run(args);
    assert_ok(&ended);
    ended
}

#[test]
fn a_dry_run_counts_the_readouts_and_iterations_of_an_objective() {
    // Of 4 iterations, 2 have gradient. The loss `mean` needs one more readout, the penalty
    // `jacobian` two more iterations, and the penalty `fixed-point` one more iteration.
    let number = |keys: &[&str], name: &str| {
        let object = told("--dry-run --json", keys).json();
        object[name].as_f64().expect(name)
    };
    let fixed = "model.recurrence.sampler=\"fixed\"";
    let penalty = |kind: &str| format!("train.penalty={{kind=\"{kind}\",warmup=10}}");
    let (jacobian, residual) = (penalty("jacobian"), penalty("fixed-point"));
    let plain = number(&[fixed], "flops_per_token");
    let deeper = number(
        &[fixed, "model.recurrence.backprop_depth=3"],
        "flops_per_token",
    );
    let of = |key: &str, name: &str| number(&[fixed, key], name);
    // `deeper` gives one more of the four iterations a gradient, which costs twice its forward
    // pass. An additional iteration with gradient costs three times the forward pass.
    let iteration = 1.5 * (deeper - plain);
    let one = of(&residual, "flops_per_token") - plain;
    let two = of(&jacobian, "flops_per_token") - plain;
    assert!((one / iteration - 1.0).abs() < 1e-9, "{one} {iteration}");
    assert!((two / one - 2.0).abs() < 1e-9, "{two} {one}");
    assert!(of("train.loss=mean", "flops_per_token") > plain);
    // Half of the steps are in the warm-up of the penalty.
    let run = |key: &str| of(key, "flops") - number(&[fixed], "flops");
    let tokens = number(&[fixed], "tokens");
    assert!((run(&jacobian) / (0.5 * tokens * two) - 1.0).abs() < 1e-9);
    let memory = |key: &str| of(key, "memory_bytes") - number(&[fixed], "memory_bytes");
    assert!(memory(&jacobian) > memory(&residual) && memory(&residual) > 0.0);
    assert!(memory("train.loss=mean") > 0.0);
}

#[test]
fn an_objective_is_written_as_a_word_or_as_a_table_and_printed_so_that_it_reads_back() {
    let dir = scratch();
    let print = |keys: &[&str]| told("--print-config", keys).stdout;
    assert_eq!(print(&[]), print(&["train.loss=last"]));
    assert_eq!(print(&[]), print(&["train.loss={kind=\"last\"}"]));
    assert_eq!(
        print(&["train.loss=mean"]),
        print(&["train.loss={kind=\"mean\"}"])
    );
    for keys in [
        &["train.loss=mean"][..],
        &[LISTED, "train.penalty={kind=\"jacobian\"}"],
        &[SEVERAL, "train.penalty={kind=\"fixed-point\",weight=0.2}"],
    ] {
        let printed = print(keys);
        let path = dir.path().join("printed.toml");
        fs::write(&path, &printed).expect("a file");
        let path = path.display().to_string();
        let again = run(["--config", &path, "--print-config"]);
        assert_ok(&again);
        assert_eq!(again.stdout, printed, "{keys:?}");
    }
    let printed = print(&["train.penalty={kind=\"jacobian\"}"]);
    for line in [
        "[train.penalty]",
        "weight = 0.1",
        "warmup = 0",
        "epsilon = 0.01",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{printed}");
    }
}

#[test]
fn an_objective_that_means_nothing_is_refused_by_key() {
    // The test searches for single words, because the lines of a message are wrapped.
    for (keys, parts) in [
        (&["train.loss=\"meen\""][..], &["meen", "`mean`"][..]),
        (
            &["train.loss=mean", "model.recurrence.backprop_depth=1"],
            &["train.loss", "gradient"],
        ),
        (
            &["train.loss={kind=\"mean\",iterations=[2,40]}"],
            &["train.loss.iterations", "40"],
        ),
        (
            &["train.loss={kind=\"mean\",weights=[1,2]}"],
            &["train.loss.weights", "\"rising\""],
        ),
        (
            &["train.penalty={kind=\"jacobean\"}"],
            &["train.penalty.kind", "`jacobian`"],
        ),
        (
            &["train.penalty={kind=\"norm\",epsilon=1}"],
            &["train.penalty.epsilon", "jacobian"],
        ),
        (
            &["train.penalty={kind=\"norm\"}"],
            &["train.penalty.kind", "scale"],
        ),
        (
            &["train.penalty={kind=\"jacobian\",weight=1.5}"],
            &["train.penalty.weight", "1.5"],
        ),
    ] {
        let dir = scratch();
        refused(&smoke_with(&dir.path().join("run"), keys), 2, parts);
    }
}
