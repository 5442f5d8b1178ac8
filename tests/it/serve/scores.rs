//! Compares log-probabilities of prompts with `trainer eval --tasks`, and with the golden values of
//! lm-eval.

use std::fs;

use serde_json::{Value, json};

use super::{Server, golden, items};
use crate::harness::{assert_ok, run};

/// The tolerance for the golden values: the log-likelihoods that lm-eval computed on the reference
/// model.
const GOLDEN: f64 = 2e-4;
/// The tolerance between two computations of the same passes: one has a softmax in f64, the other a
/// fused loss in f32.
const SAME: f64 = 1e-5;

/// Scores a context and its continuation as lm-eval does. Returns Σ ln p of the continuation, and
/// whether each of its tokens is the likeliest.
fn scored(server: &Server, context: &str, continuation: &str, depth: usize) -> (f64, bool) {
    let ids: Vec<u8> = format!("{context}{continuation}").into_bytes();
    let body = json!({"prompt": [ids], "temperature": 0, "max_tokens": 1, "logprobs": 1, "seed": 1234, "echo": true,
        "recurrence": depth});
    let marks = server.post(&body).choice()["logprobs"].clone();
    let range = context.len()..ids.len();
    let of = |list: &str| marks[list].as_array().expect("a list")[range.clone()].to_vec();
    let number = |value: &Value| value.as_f64().expect("a number");
    let pairs: Vec<(f64, f64)> = of("token_logprobs")
        .iter()
        .zip(&of("top_logprobs"))
        .map(|(here, top)| {
            let top = top.as_object().expect("an object").values().map(number);
            (number(here), top.fold(f64::NEG_INFINITY, f64::max))
        })
        .collect();
    let is_greedy = pairs.iter().all(|(here, top)| here.total_cmp(top).is_eq());
    (pairs.iter().map(|(here, _)| here).sum(), is_greedy)
}

#[test]
fn items_have_the_log_likelihoods_and_decisions_of_eval_and_of_lm_eval() {
    let server = Server::start(&[]);
    let tasks = golden().join("multiple_choice.jsonl");
    let (path, tasks) = (
        server.run.display().to_string(),
        tasks.display().to_string(),
    );
    let args = [
        "eval",
        &path,
        "--tasks",
        &tasks,
        "--device",
        "flex",
        "--initial-state",
        "zero",
    ];
    assert_ok(&run(args.into_iter().chain([
        "--recurrence",
        "1,4,8",
        "--limit",
        "12",
        "--json",
    ])));
    let outcomes =
        items(&server.run.join("tasks/step-00000000/multiple_choice.jsonl")).split_off(1);
    let asked = items(&golden().join("golden_mc.depth_1.jsonl"));
    for (place, depth) in [1, 4, 8].into_iter().enumerate() {
        let expected = items(&golden().join(format!("golden_mc.depth_{depth}.jsonl")));
        for ((outcome, asked), expected) in outcomes.iter().zip(&asked).zip(&expected) {
            let outcome = &outcome["outcomes"][place];
            let requests = asked["request"].as_array().expect("requests");
            for (choice, request) in requests.iter().enumerate() {
                let text = |part: usize| request[part].as_str().expect("a text");
                let (sum, is_greedy) = scored(&server, text(0), text(1), depth);
                let of_eval = outcome["loglikelihoods"][choice]
                    .as_f64()
                    .expect("a number");
                let of_lm_eval = expected["loglikelihoods"][choice]
                    .as_f64()
                    .expect("a number");
                assert!(
                    (sum - of_eval).abs() < SAME,
                    "depth {depth}: {sum} is not {of_eval}"
                );
                assert!(
                    (sum - of_lm_eval).abs() < GOLDEN,
                    "depth {depth}: {sum} is not {of_lm_eval}"
                );
                assert_eq!(json!(is_greedy), outcome["is_greedy"][choice]);
            }
        }
    }
}

#[test]
fn prompts_together_have_the_bits_that_they_have_alone() {
    let server = Server::start(&[]);
    let prompts = [
        "a",
        "some words of a text",
        "a longer text than the others are, with more words in it",
    ];
    let of = |prompt: Value| {
        let body = json!({"prompt": prompt, "temperature": 0, "max_tokens": 0, "logprobs": 3, "echo": true});
        server.post(&body).json()["choices"].clone()
    };
    let together = of(json!(prompts));
    for (place, prompt) in prompts.iter().enumerate() {
        assert_eq!(
            together[place]["logprobs"],
            of(json!(prompt))[0]["logprobs"],
            "{prompt}"
        );
    }
}

#[test]
fn the_depth_changes_the_log_probabilities() {
    let server = Server::start(&["--recurrence", "4"]);
    let of = |fields: Value| {
        server.post(&super::asked(fields)).choice()["logprobs"]["token_logprobs"].clone()
    };
    let base = json!({"max_tokens": 0, "echo": true, "logprobs": 0});
    let at = |depth: usize| {
        let mut fields = base.clone();
        fields["recurrence"] = json!(depth);
        of(fields)
    };
    assert_eq!(at(4), of(base.clone()), "the depth of the command line");
    assert_ne!(at(1), at(4));
    assert_eq!(at(1)[0], Value::Null);
}

#[test]
fn drawn_states_are_those_of_the_first_item() {
    let server = Server::start(&["--initial-state", "seed"]);
    let dir = server.run.parent().expect("a folder");
    let task = dir.join("one.jsonl");
    fs::write(
        &task,
        r#"{"context": "some words", "continuation": " and more"}"#,
    )
    .expect("writable");
    let (path, task) = (server.run.display().to_string(), task.display().to_string());
    assert_ok(&run([
        "eval",
        &path,
        "--tasks",
        &task,
        "--device",
        "flex",
        "--recurrence",
        "4",
        "--json",
    ]));
    let outcome = items(&server.run.join("tasks/step-00000000/one.jsonl")).remove(1);
    let of_eval = outcome["outcomes"][0]["loglikelihoods"][0]
        .as_f64()
        .expect("a number");
    let (sum, _) = scored(&server, "some words", " and more", 4);
    assert!((sum - of_eval).abs() < SAME, "{sum} is not {of_eval}");
}
