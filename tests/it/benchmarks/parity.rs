//! Compares log-likelihoods, decisions and scores on raven-tiny with those of lm-eval 0.4.8 and of
//! nanochat's CORE (tests/golden/lm-eval-raven-tiny). One pass gives the results at the depths 1, 4
//! and 8.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{eval, golden, imported, lines, numbers, outcome_file, outcomes};
use crate::harness::assert_ok;

const DEPTHS: [usize; 3] = [1, 4, 8];
/// The tolerances of the golden values: for the log-likelihoods of choices, for those of whole
/// texts, for mean losses, and for bits per byte.
const LOG_P: f64 = 2e-4;
const LOG_P_OF_A_TEXT: f64 = 1e-3;
const MEAN_LOSS: f64 = 2e-5;
const BITS: f64 = 1e-6;

/// Evaluates at the golden depths. Returns the report of the task, and the outcomes of its items.
fn found(run: &Path, tasks: &Path, name: &str, further: &[&str]) -> (Value, Vec<Value>) {
    let ended = eval(run, tasks, &[&["--recurrence", "1,4,8"], further].concat());
    assert_ok(&ended);
    let report = ended.json()["tasks"][0].clone();
    (report, outcomes(&outcome_file(run, name)))
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance,
            "{what}: {found} is not {expected}"
        );
    }
}

/// Returns a score over all items; `place` is the index of the golden depth.
fn score(report: &Value, place: usize, measure: &str) -> f64 {
    let value = &report["strata"][0]["runs"][0]["conditions"][place][measure]["value"];
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no {measure} in {report}"))
}

#[test]
fn choices_contexts_and_continuations_are_scored_as_lm_eval_scores_them() {
    let (_dir, run) = imported();
    let totals = fs::read_to_string(golden().join("results.json")).expect("results");
    let totals: Value = serde_json::from_str(&totals).expect("JSON");
    for (name, file, further) in [
        ("golden_mc", "multiple_choice", &[][..]),
        ("golden_mc_2shot", "multiple_choice", &["--shots", "2"]),
        ("golden_schema", "schema", &[]),
        ("golden_lm", "language_modeling", &[]),
    ] {
        let (report, items) = found(&run, &golden().join(format!("{file}.jsonl")), file, further);
        for (place, depth) in DEPTHS.into_iter().enumerate() {
            let expected = lines(&golden().join(format!("{name}.depth_{depth}.jsonl")));
            assert_eq!(items.len(), expected.len());
            for (item, expected) in items.iter().zip(&expected) {
                let what = format!("{name}, depth {depth}, item {}", item["item"]);
                let outcome = &item["outcomes"][place];
                let log_p = [&expected["loglikelihoods"], &expected["loglikelihood"]];
                let log_p = log_p.map(numbers).concat();
                assert_close(&numbers(&outcome["loglikelihoods"]), &log_p, LOG_P, &what);
                let greedy = match &expected["is_greedy"] {
                    Value::Array(all) => all.clone(),
                    one => vec![one.clone()],
                };
                assert_eq!(outcome["is_greedy"], json!(greedy), "{what}");
                for measure in ["acc", "acc_norm"] {
                    if let Some(share) = expected[measure].as_f64() {
                        assert_eq!(outcome[measure], json!(share > 0.5), "{what}: {measure}");
                    }
                }
            }
            let totals = &totals[name][depth.to_string()];
            for measure in ["acc", "acc_norm"] {
                if let Some(total) = totals[measure].as_f64() {
                    assert_close(&[score(&report, place, measure)], &[total], 1e-12, name);
                }
            }
            if let Some(perplexity) = totals["perplexity"].as_f64() {
                let found = &report["strata"][0]["runs"][0]["conditions"][place]["perplexity"];
                // The logarithm of the perplexity is the negative mean log-likelihood, about 27.
                // The tolerance for log-likelihoods applies to this logarithm.
                assert_close(&[numbers(found)[0].ln()], &[perplexity.ln()], LOG_P, name);
            }
        }
    }
}

#[test]
fn texts_longer_than_the_context_have_lm_evals_rolling_log_likelihood() {
    let (dir, run) = imported();
    let first = lines(&golden().join("golden_bpb.depth_1.jsonl"));
    let texts: Vec<String> = first
        .iter()
        .map(|item| {
            let mut text = &item["request"];
            while let Value::Array(inner) = text {
                text = &inner[0];
            }
            json!({"text": text}).to_string()
        })
        .collect();
    let tasks = dir.path().join("texts.jsonl");
    fs::write(&tasks, texts.join("\n")).expect("writable");
    let (report, items) = found(&run, &tasks, "texts", &[]);
    let totals = fs::read_to_string(golden().join("results.json")).expect("results");
    let totals: Value = serde_json::from_str(&totals).expect("JSON");
    for (place, depth) in DEPTHS.into_iter().enumerate() {
        let expected = lines(&golden().join(format!("golden_bpb.depth_{depth}.jsonl")));
        for (item, expected) in items.iter().zip(&expected) {
            let what = format!("depth {depth}, item {}", item["item"]);
            let outcome = &item["outcomes"][place];
            let log_p = numbers(&outcome["loglikelihoods"]);
            assert_close(
                &log_p,
                &numbers(&expected["loglikelihood"]),
                LOG_P_OF_A_TEXT,
                &what,
            );
            assert_eq!(outcome["bytes"], expected["bytes"], "{what}");
        }
        let totals = &totals["golden_bpb"][depth.to_string()];
        let bits = numbers(&totals["bits_per_byte"]);
        assert_close(
            &[score(&report, place, "bits_per_byte")],
            &bits,
            BITS,
            "bits per byte",
        );
        let condition = &report["strata"][0]["runs"][0]["conditions"][place];
        for perplexity in ["byte_perplexity", "word_perplexity"] {
            let (found, expected) = (
                numbers(&condition[perplexity])[0],
                numbers(&totals[perplexity])[0],
            );
            assert!(
                (found / expected - 1.0).abs() < 2e-5,
                "{perplexity}: {found}, {expected}"
            );
        }
    }
}

#[test]
fn cores_prompts_are_scored_as_nanochat_scores_them() {
    let (dir, run) = imported();
    // For language modelling, only items that fit the context have golden values.
    let fitting = lines(&golden().join("core_language_modeling.depth_1.jsonl"));
    let all = lines(&golden().join("language_modeling.jsonl"));
    let text = |item: &Value| {
        let parts = ["context", "continuation"].map(|key| item[key].as_str().unwrap_or_default());
        parts.concat()
    };
    let kept: Vec<String> = all
        .iter()
        .filter(|item| text(item).len() < 128)
        .map(Value::to_string)
        .collect();
    assert_eq!(kept.len(), fitting.len());
    let language = dir.path().join("language_modeling.jsonl");
    fs::write(&language, kept.join("\n")).expect("writable");
    let totals = fs::read_to_string(golden().join("core-results.json")).expect("results");
    let totals: Value = serde_json::from_str(&totals).expect("JSON");
    let (choices, schema) = (
        golden().join("multiple_choice.jsonl"),
        golden().join("schema.jsonl"),
    );
    for (name, file, task, further) in [
        ("core_multiple_choice", &choices, "multiple_choice", &[][..]),
        (
            "core_multiple_choice_2shot",
            &choices,
            "multiple_choice",
            &["--shots", "2"],
        ),
        ("core_schema", &schema, "schema", &[]),
        (
            "core_language_modeling",
            &language,
            "language_modeling",
            &["--delimiter", ""],
        ),
    ] {
        let further = [&["--rules", "core"], further].concat();
        let (report, items) = found(&run, file, task, &further);
        for (place, depth) in DEPTHS.into_iter().enumerate() {
            let expected = lines(&golden().join(format!("{name}.depth_{depth}.jsonl")));
            assert_eq!(items.len(), expected.len());
            for (item, expected) in items.iter().zip(&expected) {
                let what = format!("{name}, depth {depth}, item {}", item["item"]);
                let outcome = &item["outcomes"][place];
                if expected["correct"].is_null() {
                    assert_eq!(
                        (item["undecided"].as_bool(), outcome.is_null()),
                        (Some(true), true),
                        "{what}"
                    );
                    continue;
                }
                assert_eq!(outcome["acc"], expected["correct"], "{what}");
                assert_eq!(
                    outcome["scored_tokens"], expected["scored_tokens"],
                    "{what}"
                );
                let means = numbers(&outcome["mean_losses"]);
                assert_close(&means, &numbers(&expected["mean_losses"]), MEAN_LOSS, &what);
            }
            let totals = &totals[name][depth.to_string()];
            assert_close(
                &[score(&report, place, "acc")],
                &numbers(&totals["accuracy"]),
                1e-12,
                name,
            );
            assert_eq!(report["undecided"], totals["left_out"], "{name}");
            assert_eq!(report["strata"][0]["items"], totals["items"], "{name}");
        }
    }
}

#[test]
fn cuts_and_undecided_items_are_told() {
    let (_dir, run) = imported();
    let ended = eval(
        &run,
        &golden().join("language_modeling.jsonl"),
        &["--recurrence", "1"],
    );
    assert_ok(&ended);
    let report = &ended.json()["tasks"][0];
    let long = lines(&golden().join("language_modeling.jsonl"));
    let beyond = |item: &Value| {
        let parts =
            ["context", "continuation"].map(|key| item[key].as_str().unwrap_or_default().len());
        (parts[0] + parts[1]).saturating_sub(129)
    };
    let lost: Vec<usize> = long.iter().map(beyond).filter(|lost| *lost > 0).collect();
    assert_eq!(report["items_cut"], json!(lost.len()));
    assert_eq!(report["tokens_cut"], json!(lost.iter().sum::<usize>()));
    let told = format!("{} of 60 items are longer than the context", lost.len());
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    let further = ["--recurrence", "1", "--rules", "core"];
    let ended = eval(&run, &golden().join("multiple_choice.jsonl"), &further);
    assert!(
        ended.stderr.contains("1 of 60 items are left out"),
        "{}",
        ended.stderr
    );
}
