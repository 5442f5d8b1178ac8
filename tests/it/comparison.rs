//! Tests of comparisons, which use only the metrics of runs: the table, the page and the pictures.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{assert_ok, losses, run, scratch, smoke};

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
    for heading in [
        "<h2>Keys that differ</h2>",
        "<h3>Loss against tokens</h3>",
        "<h3>Correlation of hidden states against tokens</h3>",
        "<h3>Perplexity of two</h3>",
        "<h3>Perplexity against recurrence depth</h3>",
        "<h3>Residual by iteration</h3>",
        ">Correlation of hidden states</th>",
        "<span class=\"verdict good\">healthy</span>",
    ] {
        assert!(page.contains(heading), "{heading}");
    }
    for picture in ["training-dynamics", "ppl-vs-tokens"] {
        for ending in ["svg", "png", "csv"] {
            let name = format!("{picture}.{ending}");
            assert!(out.join(&name).is_file(), "{name}");
            assert!(page.contains(&name), "{name}");
        }
    }
    for outside in [
        "src=", "href=", "@import", "url(", "http:", "https:", "fetch", "XMLHttp", "import(",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
}

/// Returns the data of the chart with this heading.
fn chart(page: &str, heading: &str) -> Value {
    let (_, from) = page
        .split_once(&format!("<h3>{heading}</h3>"))
        .unwrap_or_else(|| panic!("no chart {heading}"));
    let (_, data) = from.split_once("application/json\">").expect("data");
    let (data, _) = data.split_once("</script>").expect("an end");
    serde_json::from_str(data).expect("JSON")
}

#[test]
fn a_chart_has_the_numbers_of_the_metrics_with_their_steps_and_both_scales() {
    let dir = scratch();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    assert_ok(&smoke(&one, &[]));
    assert_ok(&smoke(&two, &["--set", "schedule.peak=1e-3"]));
    let out = dir.path().join("out");
    assert_ok(&run([
        "compare",
        &shown(&one),
        &shown(&two),
        "--out",
        &shown(&out),
    ]));
    let data = chart(&read(&out.join("compare.html")), "Loss against tokens");
    for (index, run_dir) in [&one, &two].into_iter().enumerate() {
        let curve = &data["curves"][index];
        let losses = losses(run_dir);
        assert_eq!(curve["y"].as_array().map(Vec::len), Some(losses.len()));
        let drawn = curve["y"][7].as_f64().expect("a loss");
        // The page shows six significant digits.
        assert!(
            (drawn / losses[7] - 1.0).abs() < 1e-5,
            "{drawn} {}",
            losses[7]
        );
        assert_eq!(curve["step"][7], 8);
        // A step has 4 sequences of 32 tokens.
        assert_eq!(curve["x"][7], 8 * 4 * 32);
    }
    for axis in ["x", "y"] {
        let scales = data[axis]["scales"].as_array().expect("scales");
        let log: Vec<_> = scales.iter().map(|scale| scale["log"] == true).collect();
        assert_eq!(log, [false, true], "{axis}");
    }
}

#[test]
fn runs_that_differ_in_their_seeds_are_a_group_with_mean_and_deviation() {
    let dir = scratch();
    let place = |name: &str| dir.path().join("runs").join(name);
    for (name, set) in [
        ("low-seed0", ["run.seed=0", "schedule.peak=1e-3"]),
        ("low-seed1", ["run.seed=1", "schedule.peak=1e-3"]),
        ("high", ["run.seed=0", "schedule.peak=4e-3"]),
    ] {
        assert_ok(&smoke(&place(name), &["--set", set[0], "--set", set[1]]));
    }
    let out = dir.path().join("out");
    let pattern = shown(&place("*"));
    let ended = run(["compare", &pattern, "--out", &shown(&out)]);
    assert_ok(&ended);
    for words in ["means over seeds ± standard deviation", "2 healthy", "0, 1"] {
        assert!(ended.stdout.contains(words), "{words}: {ended:?}");
    }
    let object: Value = serde_json::from_str(&read(&out.join("compare.json"))).expect("JSON");
    assert_eq!(object["runs"].as_array().map(Vec::len), Some(3));
    let groups = object["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 1, "{groups:?}");
    let group = &groups[0];
    assert_eq!(group["group"], "low");
    assert_eq!(group["n"], 2);
    assert_eq!(group["verdicts"]["healthy"], 2);
    let last = |name: &str| *losses(&place(name)).last().expect("a loss");
    let (a, b) = (last("low-seed0"), last("low-seed1"));
    let mean = f64::midpoint(a, b);
    // The standard deviation of two values that differ by d is √((d/2)² + (d/2)²) = d / √2.
    let deviation = (a - b).abs() / 2.0_f64.sqrt();
    let found = |key: &str| group["final_loss"][key].as_f64().expect("a number");
    assert!((found("mean") - mean).abs() < 1e-9, "{group}");
    assert!((found("sd") - deviation).abs() < 1e-9, "{group}");
    let page = read(&out.join("compare.html"));
    let data = chart(&page, "Loss against tokens");
    let names: Vec<&str> = data["curves"]
        .as_array()
        .expect("curves")
        .iter()
        .filter_map(|curve| curve["name"].as_str())
        .collect();
    assert_eq!(names, ["high", "low-seed0", "low-seed1", "low (mean of 2)"]);
    let drawn = data["curves"][3]["spread"][19]
        .as_f64()
        .expect("a deviation");
    assert!(
        (drawn - deviation).abs() <= 1e-5 * deviation,
        "{drawn} {deviation}"
    );
    for part in [
        "<summary>3 single runs",
        "id=\"singles\"",
        "<span class=\"verdict good\">2 healthy</span>",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_sweep_stands_for_its_runs_and_what_is_no_run_is_told() {
    let dir = scratch();
    let file = dir.path().join("sweep.toml");
    let base = crate::harness::root().join("configs/smoke.toml");
    let base = format!("base = {:?}\nseeds = [3, 4]\n", shown(&base));
    fs::write(
        &file,
        base + "[[grid]]\nkey = \"schedule.peak\"\nvalues = [1e-3, 4e-3]\n",
    )
    .expect("a file");
    let sweep = dir.path().join("peaks");
    assert_ok(&run(["sweep", &shown(&file), "--out", &shown(&sweep)]));
    let ended = run(["compare", &shown(&sweep), "--json"]);
    assert_ok(&ended);
    let object = ended.json();
    assert_eq!(object["runs"].as_array().map(Vec::len), Some(4));
    let counts: Vec<_> = object["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|group| group["n"].as_u64())
        .collect();
    assert_eq!(counts, [Some(2), Some(2)]);
    // A run of the sweep that has not started is left out of the comparison.
    let mut runs = fs::read_dir(sweep.join("runs")).expect("the runs of the sweep");
    let first = runs.next().expect("a run").expect("an entry").path();
    fs::remove_file(first.join("metrics.jsonl")).expect("metrics");
    let ended = run(["compare", &shown(&sweep), "--json"]);
    assert_ok(&ended);
    assert!(
        ended.stderr.contains("3 of 4 runs have metrics"),
        "{ended:?}"
    );
    for (argument, message) in [
        (shown(&dir.path().join("nothing-*")), "matches no path"),
        (shown(&dir.path().join("*.toml")), "none of the 1 paths"),
    ] {
        let ended = run(["compare", &argument]);
        assert!(
            ended.code == 2 && ended.stderr.contains(message),
            "{ended:?}"
        );
    }
}

#[test]
fn metrics_alone_give_the_verdict_that_the_run_gave() {
    let dir = scratch();
    let whole = dir.path().join("whole");
    // This learning rate is far too high, so the loss rises.
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
    // The histogram counts all steps, including those that were not logged.
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
