//! A run writes exactly the metrics that the table of metrics lists.

use std::collections::BTreeSet;
use std::path::Path;

use rondo_metrics::Kind;
use rondo_metrics::names::{METRICS, Presence, Shape, describe};

use crate::harness::{assert_ok, rows, run, scratch, smoke, smoke_with};

/// Returns the names in the records of one kind, without their depths.
fn written(run: &Path, kind: &str) -> BTreeSet<&'static str> {
    let rows = rows(run, kind);
    assert!(!rows.is_empty());
    let of_kind = if kind == "train" {
        Kind::Train
    } else {
        Kind::Eval
    };
    rows.iter()
        .flat_map(|row| row["metrics"].as_object().expect("metrics").keys())
        .map(|name| {
            describe(of_kind, name)
                .unwrap_or_else(|| panic!("{name} is not in the table"))
                .name
        })
        .collect()
}

/// Returns the metrics that the table lists for a run with the features `has`.
fn expected(kind: Kind, has: &[Presence]) -> BTreeSet<&'static str> {
    METRICS
        .iter()
        .filter(|metric| metric.kind == kind)
        .filter(|metric| match metric.presence {
            Presence::Text | Presence::Once => !has.contains(&Presence::Tasks),
            Presence::Controller => has.contains(&Presence::Gates),
            Presence::Tasks
            | Presence::Gates
            | Presence::Contraction
            | Presence::Depths
            | Presence::Penalty => has.contains(&metric.presence),
            // Mixtures and ranks are tested elsewhere.
            Presence::Always | Presence::Device => true,
            Presence::Mixture | Presence::Ranks => false,
        })
        .map(|metric| metric.name)
        .collect()
}

#[test]
fn text_and_tasks_write_exactly_what_the_table_promises() {
    let dir = scratch();
    let (text, task) = (dir.path().join("text"), dir.path().join("task"));
    assert_ok(&smoke(&text, &[]));
    let task_args = [
        "--config",
        "configs/depth-s3.toml",
        "--device",
        "flex",
        "--set",
        "train.steps=6",
        "--set",
        "train.batch=2",
        "--set",
        "eval.tokens=96",
        "--out",
        &task.display().to_string(),
    ];
    assert_ok(&run(task_args));
    let gated = dir.path().join("gated");
    let keys = [
        "model.sparsity={}",
        "controller={target={kind=\"absolute\",cross_entropy=5.0}}",
        "train.steps=6",
    ];
    assert_ok(&smoke_with(&gated, &keys));
    let diagonal = dir.path().join("diagonal");
    assert_ok(&smoke(&diagonal, &["--set", "model.injection=diagonal"]));
    let penalised = dir.path().join("penalised");
    let keys = [
        "train.loss=mean",
        "train.penalty={kind=\"fixed-point\",warmup=3}",
        "train.steps=6",
    ];
    assert_ok(&smoke_with(&penalised, &keys));
    let runs = [
        (&text, &[][..]),
        (&task, &[Presence::Tasks]),
        (&gated, &[Presence::Gates]),
        (&diagonal, &[Presence::Contraction]),
        (&penalised, &[Presence::Depths, Presence::Penalty]),
    ];
    for (run, has) in runs {
        let promised = |kind| expected(kind, has);
        assert_eq!(written(run, "train"), promised(Kind::Train));
        assert_eq!(written(run, "eval"), promised(Kind::Eval));
    }
    let unigram = rows(&text, "eval")
        .iter()
        .filter(|row| row["metrics"].get("val_unigram_cross_entropy").is_some())
        .count();
    assert_eq!(unigram, 1, "the unigram cross entropy is written once");
}

#[test]
fn rows_hold_together() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&smoke(&out, &[]));
    let mut sum = 0.0;
    for (step, row) in (1_u64..).zip(rows(&out, "train")) {
        let number = |name: &str| {
            row["metrics"][name]
                .as_f64()
                .unwrap_or_else(|| panic!("{name}: {row}"))
        };
        assert_eq!(row["step"], step);
        assert_eq!(row["tokens"], step * 4 * 32);
        sum += number("lr");
        assert!((number("lr_sum") - sum).abs() < 1e-12);
        assert!((number("perplexity") / number("loss").exp() - 1.0).abs() < 1e-9);
        let recurrence = number("num_steps_no_grad") + number("num_steps_with_grad");
        assert!((number("recurrence") - recurrence).abs() < 1e-9);
        // The main correlation, `hidden_state_corr`, is the mean over pairs of different positions.
        let (c, seq) = (number("recurrent_state_token_corr"), 32.0);
        assert!((number("hidden_state_corr") - c * seq / (seq - 1.0)).abs() < 1e-9);
        for metric in METRICS.iter().filter(|metric| {
            metric.shape == Shape::PerIteration && metric.presence == Presence::Always
        }) {
            let series = row["metrics"][metric.name].as_array().expect("a series");
            assert_eq!(series.len(), recurrence as usize, "{}", metric.name);
        }
    }
}
