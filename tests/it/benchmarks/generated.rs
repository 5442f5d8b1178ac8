//! Tasks with generated answers.

use serde_json::{Value, json};

use super::{eval, imported, outcome_file, outcomes, written};
use crate::harness::{assert_ok, run};

/// Returns the text that raven-tiny generates after a prompt at a given depth, from the zero state.
fn generated(of: &std::path::Path, prompt: &str, depth: &str, count: &str) -> String {
    let of = of.display().to_string();
    let mut args = vec![
        "generate",
        &of,
        "--prompt",
        prompt,
        "--recurrence",
        depth,
        "--max-tokens",
        count,
    ];
    args.extend(["--initial-state", "zero", "--device", "flex", "--json"]);
    let ended = run(args);
    assert_ok(&ended);
    ended.json()["text"].as_str().expect("a text").to_owned()
}

#[test]
fn an_answer_is_what_generate_writes_and_matches_at_the_depth_that_writes_it() {
    let (dir, run) = imported();
    let texts = ["1", "8"].map(|depth| generated(&run, "Stone and", depth, "6"));
    assert_ne!(texts[0], texts[1]);
    let line = json!({"context": "Stone and", "answer": texts[1]}).to_string();
    let tasks = written(dir.path(), "asked.jsonl", &[&line]);
    let further = [
        "--recurrence",
        "1,8",
        "--max-new-tokens",
        "6",
        "--stop",
        "never written",
    ];
    let ended = eval(&run, &tasks, &further);
    assert_ok(&ended);
    let items = outcomes(&outcome_file(&run, "asked"));
    let outcomes = items[0]["outcomes"].as_array().expect("two depths");
    for (outcome, text) in outcomes.iter().zip(&texts) {
        assert_eq!(outcome["generated"], json!(text));
    }
    assert_eq!(
        (&outcomes[0]["acc"], &outcomes[1]["acc"]),
        (&json!(false), &json!(true))
    );
    let conditions = &ended.json()["tasks"][0]["strata"][0]["runs"][0]["conditions"];
    assert_eq!(conditions[1]["acc"]["value"], json!(1.0));
    assert_eq!(conditions[1]["mean_iterations"], json!(8.0));
}

#[test]
fn answers_end_at_a_stop_and_exits_stand_beside_the_depths() {
    let (dir, run) = imported();
    let text = generated(&run, "Stone and", "4", "8");
    let stop: String = text.chars().skip(3).take(1).collect();
    let before = text.split(&stop).next().expect("a beginning").to_owned();
    let line = json!({"context": "Stone and", "answer": before}).to_string();
    let tasks = written(dir.path(), "asked.jsonl", &[&line]);
    let mut further = vec![
        "--recurrence",
        "4",
        "--max-new-tokens",
        "8",
        "--stop",
        &stop,
    ];
    further.extend(["--exit", "argmax-stability", "--max-recurrence", "12"]);
    let ended = eval(&run, &tasks, &further);
    assert_ok(&ended);
    let items = outcomes(&outcome_file(&run, "asked"));
    assert_eq!(items[0]["outcomes"][0]["generated"], json!(before));
    let conditions = ended.json()["tasks"][0]["strata"][0]["runs"][0]["conditions"].clone();
    assert_eq!(conditions[1]["exit"], json!("argmax-stability"));
    let iterations = conditions[1]["mean_iterations"].as_f64().expect("a number");
    // The criterion exits after the fifth repetition of a prediction, at iteration 6 or later.
    assert!((6.0..=12.0).contains(&iterations), "{iterations}");
}

#[test]
fn a_pattern_finds_the_answer_within_what_was_written() {
    let (dir, run) = imported();
    let text = generated(&run, "Stone and", "8", "6");
    let second: String = text.chars().skip(1).take(1).collect();
    let lines = [
        json!({"context": "Stone and", "answer": second}).to_string(),
        json!({"context": "Stone and", "answer": "none", "aliases": [second]}).to_string(),
        json!({"context": "Stone and", "answer": text}).to_string(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let tasks = written(dir.path(), "asked.jsonl", &lines);
    let further = [
        "--recurrence",
        "8",
        "--max-new-tokens",
        "6",
        "--pattern",
        "(?s)^.(.)",
    ];
    assert_ok(&eval(&run, &tasks, &further));
    let found: Vec<Value> = outcomes(&outcome_file(&run, "asked"))
        .iter()
        .map(|item| item["outcomes"][0]["acc"].clone())
        .collect();
    // The third right answer is the whole text. The pattern matches in this answer too, so its
    // match is compared.
    assert_eq!(found, [json!(true), json!(true), json!(true)]);
}
