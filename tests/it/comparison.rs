//! Runs beside one another: the table, the page, the pictures, from metrics alone.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{assert_ok, run, scratch, smoke};

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn a_comparison_is_a_table_an_object_and_a_page_that_needs_nothing_else() {
    let dir = scratch();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    assert_ok(&smoke(&one, &[]));
    assert_ok(&smoke(&two, &["--set", "eval.recurrence=[1,2]"]));
    let out = dir.path().join("out");
    let ended = run(["compare", &shown(&one), &shown(&two), "--out", &shown(&out)]);
    assert_ok(&ended);
    assert!(ended.stderr.contains("different depths"), "{ended:?}");
    for word in [
        "one",
        "two",
        "healthy",
        "compare.html",
        "n/a",
        "keys that differ",
        "eval.recurrence",
        "tokens/s",
    ] {
        assert!(ended.stdout.contains(word), "{word}: {ended:?}");
    }
    let object: Value = serde_json::from_str(&read(&out.join("compare.json"))).expect("JSON");
    let first = &object["runs"][0];
    let summary: Value = serde_json::from_str(&read(&one.join("summary.json"))).expect("JSON");
    assert_eq!(first["run"], "one");
    let differs = &object["differences"][0];
    assert_eq!(differs["key"], "eval.recurrence");
    assert_eq!(differs["values"][1], "[1, 2]");
    assert!(
        first["device"].is_string() && first["seconds"].is_number(),
        "{first}"
    );
    assert_eq!(first["verdict"], "healthy");
    assert_eq!(first["final_loss"], summary["final_loss"]);
    assert_eq!(first["perplexity"]["8"], summary["depths"][2]["perplexity"]);
    for reading in ["start", "peak", "end"] {
        assert!(first["hidden_state_corr"][reading].is_number(), "{first}");
    }
    let page = read(&out.join("compare.html"));
    for picture in ["training-dynamics", "ppl-vs-tokens"] {
        assert!(
            page.contains(&format!("<h2>{picture}</h2>\n<div class=\"wide\"><svg")),
            "{picture}"
        );
        for ending in ["svg", "png", "csv"] {
            assert!(
                out.join(format!("{picture}.{ending}")).is_file(),
                "{picture}.{ending}"
            );
        }
    }
    for outside in ["<script", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn metrics_alone_give_the_verdict_that_the_run_gave() {
    let dir = scratch();
    let whole = dir.path().join("whole");
    // The rate is far too high: the loss rises.
    let rate = ["--set", "schedule.peak=0.3", "--set", "train.steps=120"];
    assert_ok(&smoke(&whole, &rate));
    let left = dir.path().join("left");
    fs::create_dir(&left).expect("a folder");
    fs::copy(whole.join("metrics.jsonl"), left.join("metrics.jsonl")).expect("a copy");
    let ended = run(["compare", &shown(&left), "--json"]);
    assert_ok(&ended);
    let summary: Value = serde_json::from_str(&read(&whole.join("summary.json"))).expect("JSON");
    let found = &ended.json()["runs"][0];
    assert_eq!(found["verdict"], summary["verdict"]);
    assert_eq!(found["findings"], summary["findings"]);
    assert_ne!(found["findings"], serde_json::json!([]));
}

#[test]
fn runs_that_lack_numbers_are_told_instead_of_failing() {
    let dir = scratch();
    let (empty, early, run_dir) = (
        dir.path().join("empty"),
        dir.path().join("early"),
        dir.path().join("run"),
    );
    fs::create_dir(&empty).expect("a folder");
    fs::create_dir(&early).expect("a folder");
    assert_ok(&smoke(&run_dir, &[]));
    let metrics = read(&run_dir.join("metrics.jsonl"));
    let first = metrics.lines().next().expect("the first evaluation");
    fs::write(early.join("metrics.jsonl"), format!("{first}\n")).expect("a file");
    let out = shown(&dir.path().join("out"));
    let paths = [shown(&run_dir), shown(&empty), shown(&early)];
    let mut args = vec!["compare"];
    args.extend(paths.iter().map(String::as_str));
    let ended = run(args);
    assert_ok(&ended);
    assert!(ended.stderr.contains("empty: no metrics yet"), "{ended:?}");
    assert!(
        ended.stderr.contains("early: one evaluation, at step 0"),
        "{ended:?}"
    );
    let mut args = vec!["compare", "--out", &out];
    args.extend(paths.iter().map(String::as_str));
    let ended = run(args);
    assert_ok(&ended);
    assert!(
        ended
            .stderr
            .contains("picture loss-vs-tokens: nothing to draw"),
        "{ended:?}"
    );
    assert!(Path::new(&out).join("compare.html").is_file());
    let ended = run(["figure", "ppl-vs-tokens", &paths[2], "--out", &out]);
    assert!(
        ended.code == 1 && ended.stderr.contains("early"),
        "{ended:?}"
    );
    let ended = run(["figure", "loss-vs-tokens", &paths[1], "--out", &out]);
    assert!(
        ended.code == 2 && ended.stderr.contains("none of the runs has metrics"),
        "{ended:?}"
    );
    let ended = run(["compare", "no/such/run"]);
    assert!(
        ended.code == 2 && ended.stderr.contains("no such folder"),
        "{ended:?}"
    );
}

#[test]
fn every_figure_of_a_text_run_is_drawn_and_a_tasks_is_refused() {
    let dir = scratch();
    let run_dir = dir.path().join("run");
    assert_ok(&smoke(&run_dir, &[]));
    let out = dir.path().join("figures");
    for name in [
        "training-dynamics",
        "loss-vs-tokens",
        "ppl-vs-tokens",
        "depth-histogram",
        "per-iteration",
        "depth-perplexity",
    ] {
        let ended = run(["figure", name, &shown(&run_dir), "--out", &shown(&out)]);
        assert_ok(&ended);
        let png = fs::read(out.join(format!("{name}.png"))).expect("a picture");
        assert!(png.starts_with(b"\x89PNG"), "{name}");
        assert!(ended.stdout.contains(&format!("{name}.csv")), "{ended:?}");
    }
    // All steps are counted, the ones that were not logged too.
    let counts = read(&out.join("depth-histogram.csv"));
    let steps: u64 = counts
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').nth(2)?.parse::<u64>().ok())
        .sum();
    assert_eq!(steps, 20);
    let ended = run([
        "figure",
        "depth-reach",
        &shown(&run_dir),
        "--out",
        &shown(&out),
    ]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("no accuracy by position"),
        "{ended:?}"
    );
}
