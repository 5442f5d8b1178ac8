//! Tests gates on the edges of attention, the controller of their penalty, and perturbations, on
//! the command line.

use std::path::Path;

use serde_json::Value;

use crate::harness::{assert_ok, rows, run, scratch, smoke, smoke_with};

const GATES: &str = "model.sparsity={gate_bias=0.5,learned_bias=true}";

/// Returns the records of a run, without the values that depend on the clock or on where the run
/// was interrupted.
fn numbers(run: &Path) -> Vec<Value> {
    let of = |kind, names: &[&str]| -> Vec<Value> {
        rows(run, kind)
            .iter()
            .map(|row| {
                names
                    .iter()
                    .map(|name| row["metrics"][name].clone())
                    .collect()
            })
            .collect()
    };
    let mut all = of(
        "train",
        &[
            "loss",
            "grad_norm",
            "lr",
            "lr_sum",
            "sparsity",
            "sparsity_expected",
            "iterations.sparsity",
            "regularisation_strength",
            "constraint_ema",
        ],
    );
    all.extend(of(
        "eval",
        &["val_cross_entropy", "sparsity", "target_cross_entropy"],
    ));
    all
}

#[test]
fn a_gated_run_with_every_perturbation_goes_on_bit_for_bit() {
    let dir = scratch();
    let data =
        r#"{kind="text",paths=["data/first.txt"],tokenizer={kind="bytes"},val_fraction=0.1}"#;
    let perturb = format!(
        r#"perturb=[{{kind="lr-spike",at_step=5,factor=3.0,steps=2}},{{kind="optimizer-reset",at_step=8}},{{kind="weight-noise",at_step=13,std=0.02}},{{kind="data-switch",at_step=15,data={data}}}]"#
    );
    for target in [
        r#"controller={target={kind="absolute",cross_entropy=5.5}}"#,
        r#"controller={constraint="validation",target={kind="absolute",cross_entropy=5.5}}"#,
        r#"controller={target={kind="dense",loss={kind="warm-up",observations=7}},update={kind="clamped"}}"#,
        r#"controller={target={kind="percentile",percentile=40.0,observations=13}}"#,
        r#"controller={target={kind="absolute",cross_entropy=5.5},update={kind="pi",scale="linear"}}"#,
    ] {
        let (halves, whole) = (dir.path().join("halves"), dir.path().join("whole"));
        // This shape has no horizon, so dividing the run in two does not change the learning rates.
        let keys = [
            GATES,
            target,
            &perturb,
            "schedule.shape={kind=\"constant\"}",
        ];
        // A run evaluates its last step. Both parts end with a step that is evaluated anyway, so
        // the controller gets no additional loss.
        for at in ["train.steps=10", "train.steps=20"] {
            assert_ok(&smoke_with(&halves, &[&keys[..], &[at]].concat()));
        }
        assert_ok(&smoke_with(&whole, &keys));
        let (found, expected) = (numbers(&halves), numbers(&whole));
        assert_eq!(found.len(), 20 + 3);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{target}");
        }
        let perturbed: Vec<(u64, String)> = rows(&halves, "event")
            .iter()
            .filter(|row| row["metrics"]["event"] == "perturb")
            .map(|row| {
                let kind = row["metrics"]["kind"].as_str().expect("a kind").to_owned();
                (row["step"].as_u64().expect("a step"), kind)
            })
            .collect();
        let expected = [
            (5, "lr-spike"),
            (8, "optimizer-reset"),
            (13, "weight-noise"),
            (15, "data-switch"),
        ]
        .map(|(step, kind)| (step, kind.to_owned()));
        assert_eq!(perturbed, expected);
        let rates: Vec<f64> = rows(&whole, "train")
            .iter()
            .map(|row| row["metrics"]["lr"].as_f64().expect("a rate"))
            .collect();
        assert!(
            (rates[4] / rates[3] - 3.0).abs() < 1e-9 && (rates[6] / rates[3] - 1.0).abs() < 1e-9
        );
        for run in [halves, whole] {
            std::fs::remove_dir_all(run).expect("a run can be removed");
        }
    }
}

#[test]
fn a_target_out_of_reach_leaves_the_strength_at_its_least_and_is_told() {
    let dir = scratch();
    let (gated, missed) = (dir.path().join("gated"), dir.path().join("missed"));
    assert_ok(&smoke_with(&gated, &[GATES]));
    let target = r#"controller={patience=8,target={kind="absolute",cross_entropy=0.5}}"#;
    let ended = smoke_with(&missed, &[GATES, target]);
    assert_ok(&ended);
    assert!(ended.stderr.contains("target-missed"), "{}", ended.stderr);
    let train = rows(&missed, "train");
    let last = &train[19]["metrics"];
    assert_eq!(last["regularisation_strength"], 1e-3);
    let told = rows(&missed, "event");
    let told = told
        .iter()
        .filter(|row| row["metrics"]["event"] == "target-missed");
    assert_eq!(told.count(), 1);
    for (free, held) in rows(&gated, "train").iter().zip(&train) {
        let loss = |row: &Value| row["metrics"]["loss"].as_f64().expect("a loss");
        assert!(
            (loss(free) / loss(held) - 1.0).abs() < 0.01,
            "{free} {held}"
        );
    }
}

/// Draws a run with each `--layout`. The default must be the stack, both layouts must have the same
/// table, and figures with a single layout must refuse the option.
fn figure_in_each_layout(gated: &str, dir: &Path) {
    let drawn = |folder: &str, layout: &[&str]| {
        let out = dir.join(folder);
        let shown = out.display().to_string();
        let mut args = vec!["figure", "sparsity", gated, "--out", &shown];
        args.extend(layout);
        assert_ok(&run(args));
        ["svg", "csv"].map(|ending| {
            std::fs::read_to_string(out.join(format!("sparsity.{ending}"))).expect("a file")
        })
    };
    let plain = drawn("plain", &[]);
    let stack = drawn("stack", &["--layout", "stacked"]);
    let [row, table] = drawn("row", &["--layout", "side-by-side"]);
    assert_eq!(plain, stack);
    assert_eq!(table, stack[1]);
    let step_axes = |svg: &str| svg.matches(">Training Steps<").count();
    assert_eq!((step_axes(&stack[0]), step_axes(&row)), (1, 3));

    let out = dir.join("refused");
    let shown = out.display().to_string();
    for name in ["training-dynamics", "lr-schedules"] {
        for layout in ["stacked", "side-by-side"] {
            let ended = run(["figure", name, gated, "--layout", layout, "--out", &shown]);
            assert_eq!(ended.code, 2, "{ended:?}");
            let told = "--layout: only the panels of sparsity can be placed in two ways";
            assert!(ended.stderr.contains(told), "{ended:?}");
        }
    }
    let ended = run([
        "figure", "sparsity", gated, "--layout", "row", "--out", &shown,
    ]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("side-by-side"), "{ended:?}");
    assert!(!out.exists(), "a refused figure leaves nothing");
}

#[test]
fn open_gates_on_the_weights_of_a_dense_run_change_nothing() {
    let dir = scratch();
    let (dense, gated) = (dir.path().join("dense"), dir.path().join("gated"));
    assert_ok(&smoke(&dense, &[]));
    let from = format!("init={{from={:?}}}", dense.display().to_string());
    let target = format!(
        r#"controller={{target={{kind="dense",loss={{kind="run",run={:?}}}}}}}"#,
        dense.display().to_string()
    );
    let keys = [
        "model.sparsity={gate_bias=60.0,learned_bias=true}",
        &from,
        &target,
        "train.steps=1",
    ];
    let ended = smoke_with(&gated, &keys);
    assert_ok(&ended);
    let origin = format!("weights {} at step 20", dense.display());
    assert!(ended.stderr.contains(&origin), "{}", ended.stderr);
    let loss = |row: &Value| {
        row["metrics"]["val_cross_entropy"]
            .as_f64()
            .expect("a loss")
    };
    let (before, after) = (rows(&dense, "eval"), rows(&gated, "eval"));
    let dense_loss = loss(before.last().expect("an evaluation"));
    assert!(
        (loss(&after[0]) - dense_loss).abs() < 1e-5,
        "{} beside {dense_loss}",
        loss(&after[0])
    );
    assert_eq!(after[0]["metrics"]["sparsity"], 1.0);
    let target = after[0]["metrics"]["target_cross_entropy"]
        .as_f64()
        .expect("a target");
    assert!((target / dense_loss - 1.01).abs() < 1e-9);

    let (gated, figures) = (gated.display().to_string(), dir.path().join("figures"));
    let ended = run(["eval", &gated, "--json"]);
    assert_ok(&ended);
    assert_eq!(ended.json()["runs"][0]["sparsity"]["kept"], 1.0);
    let out = figures.display().to_string();
    assert_ok(&run(["figure", "sparsity", &gated, "--out", &out]));
    assert!(figures.join("sparsity.png").is_file());
    figure_in_each_layout(&gated, dir.path());
    let ended = run([
        "figure",
        "sparsity",
        &dense.display().to_string(),
        "--out",
        &out,
    ]);
    assert_ne!(ended.code, 0);
    assert!(ended.stderr.contains("dense"), "{}", ended.stderr);
    let exported = dir.path().join("exported").display().to_string();
    let ended = run(["export", &gated, "--out", &exported]);
    assert_ne!(ended.code, 0);
    assert!(ended.stderr.contains("model.sparsity"), "{}", ended.stderr);
}

#[test]
fn the_edges_of_an_evaluation_are_those_at_the_mean_depth_whatever_else_is_evaluated() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke_with(&out, &[GATES, "train.steps=2"]));
    let logged = rows(&out, "eval");
    let logged = &logged.last().expect("an evaluation")["metrics"];
    for depths in ["4", "1,4,8", "1,2,3,4"] {
        let ended = run([
            "eval",
            &out.display().to_string(),
            "--recurrence",
            depths,
            "--json",
        ]);
        assert_ok(&ended);
        let sparsity = &ended.json()["runs"][0]["sparsity"];
        assert_eq!(sparsity["kept"], logged["sparsity"], "{depths}");
        let coda = &sparsity["layers"]["coda.0"];
        assert_eq!(coda, &logged["sparsity.layer.coda.0"], "{depths}");
        assert!(coda.as_f64().is_some_and(|kept| kept < 1.0), "{coda}");
    }
}

/// Returns every share of edges in a record or a report, by name.
fn shares(of: &Value) -> Vec<(String, f64)> {
    let named = of.as_object().expect("an object").iter();
    named
        .flat_map(|(name, value)| match value {
            Value::Object(_) => shares(value),
            Value::Array(values) => {
                let shares = values.iter().filter_map(Value::as_f64);
                shares.map(|share| (name.clone(), share)).collect()
            }
            _ => Vec::from_iter(value.as_f64().map(|share| (name.clone(), share))),
        })
        .collect()
}

/// The mean over a batch is computed in f32, so the batch size changes the last bits.
#[track_caller]
fn assert_same_shares(found: &[(String, f64)], expected: &[(String, f64)]) {
    assert!(
        found.len() >= 3 && found.len() == expected.len(),
        "{found:?}"
    );
    assert!(
        expected.iter().any(|(_, share)| *share < 1.0),
        "{expected:?}"
    );
    for ((name, found), (other, expected)) in found.iter().zip(expected) {
        assert_eq!(name, other);
        assert!(
            (found - expected).abs() < 1e-6,
            "{name}: {found} is not {expected}"
        );
    }
}

#[test]
fn the_share_of_edges_is_the_same_for_every_size_of_a_batch() {
    let dir = scratch();
    // There are seven rows. The last batch is smaller than the others, except for the batch sizes 1
    // and 8.
    let of = |batch: usize| {
        let out = dir.path().join(format!("batch-{batch}"));
        let batch = format!("eval.batch={batch}");
        assert_ok(&smoke_with(
            &out,
            &[GATES, "train.steps=1", "eval.tokens=224", &batch],
        ));
        let mut metrics = rows(&out, "eval").remove(0)["metrics"].clone();
        let named = metrics.as_object_mut().expect("metrics");
        named.retain(|name, _| name.contains("sparsity"));
        shares(&metrics)
    };
    let whole = of(8);
    for batch in [1, 2, 3] {
        assert_same_shares(&of(batch), &whole);
    }
}

#[test]
fn the_share_of_edges_is_the_same_for_every_order_of_uneven_rows() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke_with(&out, &[GATES, "train.steps=2"]));
    let row = |length: u32| -> Vec<u32> { (0..length).map(|i| 97 + i * i % 26).collect() };
    let of = |lengths: &[u32]| {
        let tokens = dir.path().join("tokens.json");
        let ids: Vec<Vec<u32>> = lengths.iter().map(|length| row(*length)).collect();
        let text = serde_json::to_string(&ids).expect("ids are JSON");
        std::fs::write(&tokens, text).expect("a file can be written");
        let ended = run([
            "eval",
            &out.display().to_string(),
            "--tokens",
            &tokens.display().to_string(),
            "--initial-state",
            "zero",
            "--json",
        ]);
        assert_ok(&ended);
        shares(&ended.json()["runs"][0]["sparsity"])
    };
    // Consecutive rows of equal length are put into one batch.
    let sorted = of(&[5, 5, 5, 9, 30, 30]);
    for lengths in [[30, 5, 30, 5, 9, 5], [9, 30, 30, 5, 5, 5]] {
        assert_same_shares(&of(&lengths), &sorted);
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_its_key() {
    let dir = scratch();
    let target = r#"controller={target={kind="absolute",cross_entropy=5.5}}"#;
    for (keys, expected) in [
        (vec![target], "model.sparsity"),
        (vec!["model.sparsity={bias=1.0}"], "bias"),
        (vec![GATES, "controller={rate=1.0}"], "rate"),
        (
            vec![GATES, "controller={smoothing=1.5}"],
            "controller.smoothing",
        ),
        (
            vec![
                GATES,
                r#"controller={target={kind="dense",loss={kind="run",run="no/such/run"}}}"#,
            ],
            "no/such/run",
        ),
        (
            vec![r#"perturb=[{kind="lr-spike",at_step=0,factor=2.0}]"#],
            "at_step",
        ),
        (vec![r#"perturb=[{kind="quake",at_step=3}]"#], "quake"),
        (
            vec![
                r#"perturb=[{kind="data-switch",at_step=3,data={kind="text",paths=["data/sample.txt"],tokenizer={kind="bpe",vocab_size=300}}}]"#,
            ],
            "tokenizer",
        ),
    ] {
        let ended = smoke_with(&dir.path().join("run"), &keys);
        assert_eq!(ended.code, 2, "{keys:?}: {ended:?}");
        assert!(
            ended.stderr.contains(expected),
            "{keys:?}: {}",
            ended.stderr
        );
    }
}
