//! Tests statistics, strata, several runs, folders, tables and pictures in the program's output.

use std::fs;

use serde_json::{Value, json};

use super::{eval, golden, imported, outcome_file, outcomes, written};
use crate::harness::{assert_ok, run, scratch};

/// Counts the items that are right at one condition and wrong at another.
fn only(items: &[Value], right: usize, wrong: usize) -> u64 {
    let acc = |item: &Value, place: usize| item["outcomes"][place]["acc"] == json!(true);
    let count = items
        .iter()
        .filter(|item| acc(item, right) && !acc(item, wrong))
        .count();
    count as u64
}

#[test]
fn depths_are_compared_item_by_item_from_the_outcomes_that_are_kept() {
    let (_dir, run) = imported();
    let file = golden().join("language_modeling.jsonl");
    let ended = eval(&run, &file, &["--recurrence", "1,4,8"]);
    assert_ok(&ended);
    let report = &ended.json()["tasks"][0];
    let items = outcomes(&outcome_file(&run, "language_modeling"));
    let pairs = report["strata"][0]["runs"][0]["pairs"]
        .as_array()
        .expect("pairs")
        .clone();
    let of_acc: Vec<&Value> = pairs
        .iter()
        .filter(|pair| pair["measure"] == "acc")
        .collect();
    let places = [(0, 1), (0, 2), (1, 2)];
    assert_eq!(of_acc.len(), places.len());
    for (pair, (first, second)) in of_acc.iter().zip(places) {
        let (b, c) = (only(&items, first, second), only(&items, second, first));
        assert_eq!(
            (&pair["only_first"], &pair["only_second"]),
            (&json!(b), &json!(c))
        );
        let expected = (c as f64 - b as f64) / 60.0;
        let difference = pair["difference"].as_f64().expect("a number");
        assert!((difference - expected).abs() < 1e-12);
        let interval = &pair["interval"];
        let ends = ["low", "high"].map(|end| interval[end].as_f64().expect("a number"));
        assert!(ends[0] <= difference && difference <= ends[1], "{pair}");
    }
    // Of the sixty items, eighteen more are right at depth 4 than at depth 1: the accuracies are
    // 0.3333 and 0.0333.
    let p = of_acc[0]["mid_p"].as_f64().expect("a number");
    assert!(p < 1e-3, "{p}");
}

#[test]
fn strata_and_runs_are_reported_apart() {
    let (dir, one) = imported();
    let (_other_dir, other) = imported();
    let items: Vec<String> = (0..12)
        .map(|i| {
            let hops = [10, 2][i % 2];
            json!({"query": format!("q{i}"), "choices": ["a", "bc"], "gold": i % 2, "hops": hops})
                .to_string()
        })
        .collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let tasks = written(dir.path(), "hops.jsonl", &items);
    let paths = [&one, &other, &tasks].map(|path| path.display().to_string());
    let figures = dir.path().join("figures");
    let figures_path = figures.display().to_string();
    let mut args = vec![
        "eval",
        &paths[0],
        &paths[1],
        "--tasks",
        &paths[2],
        "--recurrence",
        "1,2",
    ];
    args.extend([
        "--device",
        "flex",
        "--by",
        "hops",
        "--figures",
        &figures_path,
    ]);
    let table = run(args.clone());
    assert_ok(&table);
    for part in [
        "hops: 2, 6 items",
        "hops: 10, 6 items",
        "mid-p",
        "Holm",
        "1: ",
        "benchmarks.svg",
    ] {
        assert!(
            table.stdout.contains(part),
            "{part} is missing in {}",
            table.stdout
        );
    }
    args.push("--json");
    let ended = run(args);
    assert_ok(&ended);
    let strata = ended.json()["tasks"][0]["strata"]
        .as_array()
        .expect("strata")
        .clone();
    let names: Vec<&Value> = strata.iter().map(|stratum| &stratum["stratum"]).collect();
    assert_eq!(names, [&Value::Null, &json!("2"), &json!("10")]);
    // Both runs have the same weights, so no comparison finds a difference.
    let between = strata[0]["between_runs"].as_array().expect("comparisons");
    assert!(!between.is_empty());
    for comparison in between {
        assert_eq!(comparison["difference"], json!(0.0), "{comparison}");
    }
    let csv = fs::read_to_string(figures.join("benchmarks.csv")).expect("a table");
    assert!(
        csv.starts_with("panel,name,depth,score,low,high\nhops,"),
        "{csv}"
    );
}

#[test]
fn every_task_of_a_folder_is_scored_and_examples_are_no_task() {
    let (dir, run) = imported();
    let out = dir.path().join("outcomes");
    let tasks = dir.path().join("tasks");
    fs::create_dir_all(tasks.join("deep")).expect("a folder can be made");
    written(
        &tasks,
        "a.jsonl",
        &[r#"{"query":"q","choices":["a","b"],"gold":0}"#],
    );
    written(
        &tasks,
        "a_shots.jsonl",
        &[r#"{"query":"p","choices":["c","d"],"gold":1}"#],
    );
    written(&tasks, "deep/b.jsonl", &[r#"{"text":"rain"}"#]);
    let out_path = out.display().to_string();
    let further = ["--recurrence", "1", "--shots", "1", "--out", &out_path];
    let ended = eval(&run, &tasks, &further);
    assert_ok(&ended);
    let names: Vec<Value> = ended.json()["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|task| task["task"].clone())
        .collect();
    assert_eq!(names, [json!("a"), json!("deep/b")]);
    assert!(out.join("a.jsonl").is_file() && out.join("deep/b.jsonl").is_file());
    assert!(!run.join("tasks").exists());
}

#[test]
fn a_run_that_was_trained_here_is_scored_from_its_own_tokenizer() {
    let dir = scratch();
    let out = dir.path().join("run");
    assert_ok(&crate::harness::smoke(&out, &["--set", "train.steps=2"]));
    let file = golden().join("schema.jsonl");
    let ended = eval(
        &out,
        &file,
        &[
            "--recurrence",
            "1,2",
            "--initial-state",
            "seed",
            "--limit",
            "8",
        ],
    );
    assert_ok(&ended);
    assert!(out.join("tasks/step-00000002/schema.jsonl").is_file());
}
