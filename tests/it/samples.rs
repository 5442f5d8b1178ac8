//! Tests `[eval] prompts`: after each evaluation, the run generates texts at several depths.

use std::path::Path;
#[cfg(unix)]
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Ended, assert_ok, refused, run, scratch, smoke_with, timeless_rows};
#[cfg(unix)]
use crate::harness::{ended, smoke_args, trainer};

/// Returns the samples among the events of a run, without their times.
fn samples(run: &Path) -> Vec<Value> {
    let events = timeless_rows(run, "event").into_iter();
    events
        .filter(|row| row["metrics"]["event"] == "sample")
        .collect()
}

#[test]
fn each_evaluation_writes_greedy_text_after_each_prompt_as_generate_does() {
    let dir = scratch();
    let out = dir.path().join("run");
    let keys = [
        "eval.prompts=[\"Four score\",\"a\\nb\"]",
        "eval.prompt_tokens=8",
        "eval.prompt_recurrence=[1,6]",
    ];
    let trained = smoke_with(&out, &keys);
    assert_ok(&trained);
    let samples = samples(&out);
    let of_prompt = |row: &Value| (row["step"].as_u64(), row["metrics"]["prompt"].clone());
    let asked: Vec<_> = samples.iter().map(of_prompt).collect();
    let expected = [0, 10, 20]
        .map(|step| ["Four score", "a\nb"].map(|prompt| (Some(step), Value::from(prompt))));
    assert_eq!(asked, expected.concat());
    let path = out.display().to_string();
    for sample in &samples[4..] {
        let metrics = &sample["metrics"];
        for depth in ["1", "6"] {
            let prompt = metrics["prompt"].as_str().expect("a prompt");
            let args = ["--recurrence", depth, "--max-tokens", "8", "--json"];
            let start = ["generate", &path, "--device", "flex", "--prompt", prompt];
            let generated = run([&start[..], &args[..]].concat());
            assert_ok(&generated);
            let text = &metrics[&format!("text@{depth}")];
            assert_eq!(*text, generated.json()["text"], "{sample}");
            assert!(text.as_str().is_some_and(|text| !text.is_empty()));
        }
    }
    shown_on_the_console(&trained);
    shown_by_metrics_and_compare(&path, dir.path());
}

/// Asserts that each evaluation prints the prompt once, with the texts below it. No line may be too
/// wide or contain a control character.
#[track_caller]
fn shown_on_the_console(trained: &Ended) {
    let lines: Vec<&str> = trained.stderr.lines().collect();
    let prompts = lines.iter().filter(|line| **line == "prompt  Four score");
    assert_eq!(prompts.count(), 3, "{trained:?}");
    for (place, _) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| **line == "prompt  a\\nb")
    {
        assert!(lines[place + 1].starts_with("   r 1  "), "{lines:?}");
        assert!(lines[place + 2].starts_with("   r 6  "), "{lines:?}");
    }
    assert!(lines.iter().all(|line| !line.contains(char::is_control)));
}

fn shown_by_metrics_and_compare(run_dir: &str, dir: &Path) {
    let table = run(["metrics", run_dir, "--format", "csv"]);
    assert_ok(&table);
    let header = table.stdout.lines().next().unwrap_or_default();
    assert!(header.ends_with("prompt,text@1,text@6") || header.contains(",prompt,text@1,text@6,"));
    assert!(run(["metrics"]).stdout.contains("sample  (event)"));
    let page = dir.join("page").display().to_string();
    assert_ok(&run(["compare", run_dir, "--out", &page]));
    let html = std::fs::read_to_string(dir.join("page/compare.html")).expect("a page");
    for prompt in ["Four score", "a\nb"] {
        let heading = format!("<h3 class=\"text\">{prompt}</h3>");
        assert!(html.contains(&heading), "{heading}: {html}");
    }
}

#[test]
fn depths_are_one_four_and_the_mean_and_the_losses_stay_as_they_are() {
    let dir = scratch();
    let (with, without) = (dir.path().join("with"), dir.path().join("without"));
    let mean = "model.recurrence.mean=6";
    assert_ok(&smoke_with(
        &with,
        &[mean, "eval.prompts=['x']", "eval.prompt_tokens=4"],
    ));
    assert_ok(&smoke_with(&without, &[mean]));
    let names = samples(&with)[0]["metrics"].clone();
    let names: Vec<&String> = names.as_object().expect("metrics").keys().collect();
    assert_eq!(names, ["event", "prompt", "text@1", "text@4", "text@6"]);
    for kind in ["train", "eval"] {
        assert_eq!(timeless_rows(&with, kind), timeless_rows(&without, kind));
    }
    assert_eq!(samples(&without), Vec::<Value>::new());
}

#[test]
fn prompts_that_cannot_be_gone_on_from_are_refused_before_training() {
    let dir = scratch();
    let out = dir.path().join("run");
    let long = format!("eval.prompts=['ok', '{}']", "x".repeat(64));
    let too_long = smoke_with(&out, &["model.context=64", &long]);
    let parts = [
        "eval.prompts: prompt 2 has 64 tokens",
        "model.context = 64",
        "shorten it",
    ];
    refused(&too_long, 2, &parts);
    let empty = smoke_with(&out, &["eval.prompts=['']"]);
    refused(&empty, 2, &["eval.prompts", "prompt 1 is empty"]);
    let task = run([
        "--config",
        "configs/depth-s3.toml",
        "--set",
        "eval.prompts=['x']",
        "--out",
        &out.display().to_string(),
    ]);
    let parts = ["eval.prompts", "a task has no text and no tokenizer"];
    refused(&task, 2, &parts);
    assert!(!out.join("metrics.jsonl").exists());
}

#[test]
fn a_text_that_fills_the_context_ends_there() {
    let dir = scratch();
    let out = dir.path().join("run");
    let keys = [
        "model.context=32",
        "eval.prompts=['0123456789012345678901234567']",
        "eval.prompt_recurrence=[2]",
        "train.steps=2",
    ];
    assert_ok(&smoke_with(&out, &keys));
    let generated = run([
        "generate",
        &out.display().to_string(),
        "--device",
        "flex",
        "--recurrence",
        "2",
        "--json",
        "--prompt",
        "0123456789012345678901234567",
    ]);
    let generated = generated.json();
    assert_eq!(generated["ended"], "context full");
    let last = samples(&out).pop().expect("a sample");
    assert_eq!(last["metrics"]["text@2"], generated["text"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_evaluation_doubles_no_text() {
    let dir = scratch();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    // The texts are long, so that the signal arrives during a generation.
    let keys = [
        "eval.prompts=['Four score','seven']",
        "eval.prompt_tokens=400",
        "checkpoint.every=7",
    ];
    assert_ok(&smoke_with(&whole, &keys));
    let child = trainer()
        .args(smoke_args(&parts, &keys))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let metrics = parts.join("metrics.jsonl");
    let trained = || {
        let text = std::fs::read_to_string(&metrics);
        text.is_ok_and(|text| text.contains("{\"step\":10,"))
    };
    while !trained() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let sent = Command::new("kill").arg(child.id().to_string()).status();
    assert!(sent.is_ok_and(|status| status.success()));
    let ended = ended(child.wait_with_output().expect("the program ends"));
    assert_eq!(ended.code, 75, "{ended:?}");
    assert_ok(&smoke_with(&parts, &keys));
    assert_eq!(samples(&parts), samples(&whole));
    assert_eq!(samples(&whole).len(), 6);
}
