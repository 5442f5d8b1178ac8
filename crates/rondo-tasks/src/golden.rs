//! Compares prompts with those of lm-eval and CORE, and decisions with the decisions that lm-eval
//! and CORE made from the same log-likelihoods. The golden values are in
//! `tests/golden/lm-eval-raven-tiny`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::outcome::{Outcome, RowScore};
use crate::prompt::Template;
use crate::rows::{Plan, Window, plan};
use crate::rules::Rules;
use crate::task::Task;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/lm-eval-raven-tiny")
}

fn lines(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder().join(name)).expect("a golden file");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn task(name: &str) -> Task {
    let path = folder().join(format!("{name}.jsonl"));
    Task::read_all(&path).expect("a task").remove(0)
}

fn template(rules: Rules, task: &Task, shots: usize) -> Template {
    Template {
        rules,
        // The continuations of CORE's golden language-modelling task already contain their spaces.
        delimiter: match task.kind {
            crate::item::Kind::LanguageModeling => String::new(),
            kind => rules.delimiter(kind).to_owned(),
        },
        shots,
    }
}

fn planned(task: &Task, template: &Template) -> Plan {
    let window = Window {
        context: 128,
        opening: 0,
    };
    let bytes = |text: &str| Ok(text.bytes().map(u32::from).collect());
    plan(task, template, window, bytes).expect("every item fits")
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_f64).collect(),
        one => one.as_f64().into_iter().collect(),
    }
}

#[test]
fn requests_are_lm_evals() {
    for (name, file, shots) in [
        ("golden_mc", "multiple_choice", 0),
        ("golden_mc_2shot", "multiple_choice", 2),
        ("golden_schema", "schema", 0),
        ("golden_lm", "language_modeling", 0),
    ] {
        let task = task(file);
        let template = template(Rules::LmEval, &task, shots);
        for (item, golden) in lines(&format!("{name}.depth_1.jsonl")).iter().enumerate() {
            let texts: Vec<Value> = template
                .pairs(&task, item)
                .iter()
                .map(|pair| serde_json::json!([pair.context, pair.continuation]))
                .collect();
            // The golden file does not wrap a single request in a list.
            let expected = match &golden["request"] {
                Value::Array(all) if all[0].is_array() => all.clone(),
                one => vec![one.clone()],
            };
            assert_eq!(texts, expected, "{name} {item}");
        }
    }
}

#[test]
fn prompts_and_scored_tokens_are_cores() {
    for (name, file, shots) in [
        ("core_multiple_choice", "multiple_choice", 0),
        ("core_multiple_choice_2shot", "multiple_choice", 2),
        ("core_schema", "schema", 0),
    ] {
        let task = task(file);
        let template = template(Rules::Core, &task, shots);
        let plan = planned(&task, &template);
        for golden in lines(&format!("{name}.depth_1.jsonl")) {
            let item = golden["doc_id"].as_u64().expect("a number") as usize;
            if golden["mean_losses"].is_null() || golden["correct"].is_null() {
                assert!(plan.items[item].undecided, "{name} {item}");
                continue;
            }
            let pairs = template.pairs(&task, item);
            let texts: Vec<String> = pairs
                .iter()
                .map(|p| format!("{}{}", p.context, p.continuation))
                .collect();
            assert_eq!(serde_json::json!(texts), golden["prompts"], "{name} {item}");
            let rows = &plan.rows[plan.items[item].rows.clone()];
            let scored: Vec<usize> = rows.iter().map(|row| row.targets.len()).collect();
            assert_eq!(
                serde_json::json!(scored),
                golden["scored_tokens"],
                "{name} {item}"
            );
        }
    }
}

#[test]
fn decisions_follow_from_lm_evals_log_likelihoods() {
    for (name, file) in [
        ("golden_mc", "multiple_choice"),
        ("golden_mc_2shot", "multiple_choice"),
        ("golden_schema", "schema"),
        ("golden_lm", "language_modeling"),
    ] {
        let task = task(file);
        let delimiter = Rules::LmEval.delimiter(task.kind);
        for depth in [1, 4, 8] {
            for (item, golden) in lines(&format!("{name}.depth_{depth}.jsonl"))
                .iter()
                .enumerate()
            {
                let several = numbers(&golden["loglikelihoods"]);
                let one = numbers(&golden["loglikelihood"]);
                let greedy = match &golden["is_greedy"] {
                    Value::Array(all) => all.iter().filter_map(Value::as_bool).collect(),
                    one => vec![one.as_bool().expect("a truth value")],
                };
                let rows: Vec<RowScore> = several
                    .iter()
                    .chain(&one)
                    .zip(greedy)
                    .map(|(log_p, greedy)| RowScore {
                        loss: -log_p,
                        tokens: 1,
                        greedy,
                    })
                    .collect();
                let outcome = Outcome::of_rows(&task.items[item], Rules::LmEval, delimiter, &rows);
                let share = |key: &str| golden[key].as_f64().map(|x| x > 0.5);
                assert_eq!(outcome.acc, share("acc"), "{name} {depth} {item}");
                if let Some(acc_norm) = share("acc_norm") {
                    assert_eq!(outcome.acc_norm, Some(acc_norm), "{name} {depth} {item}");
                }
            }
        }
    }
}

#[test]
fn decisions_follow_from_cores_mean_losses() {
    for (name, file) in [
        ("core_multiple_choice", "multiple_choice"),
        ("core_schema", "schema"),
    ] {
        let task = task(file);
        for depth in [1, 4, 8] {
            for golden in lines(&format!("{name}.depth_{depth}.jsonl")) {
                let item = golden["doc_id"].as_u64().expect("a number") as usize;
                let Some(correct) = golden["correct"].as_bool() else {
                    continue;
                };
                let tokens = numbers(&golden["scored_tokens"]);
                let rows: Vec<RowScore> = numbers(&golden["mean_losses"])
                    .iter()
                    .zip(&tokens)
                    .map(|(mean, tokens)| RowScore {
                        loss: mean * tokens,
                        tokens: *tokens as usize,
                        greedy: false,
                    })
                    .collect();
                let outcome = Outcome::of_rows(&task.items[item], Rules::Core, " ", &rows);
                assert_eq!(outcome.acc, Some(correct), "{name} {depth} {item}");
            }
        }
    }
}
