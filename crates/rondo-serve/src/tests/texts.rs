//! Texts: choices, seeds, stops and events.

use serde_json::{Value, json};

use super::log_p;
use crate::limits::Limits;
use crate::testing::{Answer, Server, asked};

fn texts(answer: &Answer) -> Vec<String> {
    let choices = answer.json()["choices"].clone();
    let choices = choices.as_array().expect("choices").iter();
    choices
        .map(|choice| choice["text"].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn every_form_of_a_prompt_is_continued() {
    let server = Server::start(Limits::default());
    for (prompt, expected) in [
        (json!("abc"), &["def"][..]),
        (json!(["abc", "m"]), &["def", "nop"]),
        (json!([97, 98, 99]), &["def"]),
        (json!([[97], [99, 100]]), &["bcd", "efg"]),
    ] {
        let answer = server.post(&asked(json!({"prompt": prompt})));
        assert_eq!(texts(&answer), expected, "{prompt}");
    }
    // The prompt and the default of 16 new tokens do not fit in this model's context.
    server
        .post(&json!({"prompt": "abc"}))
        .refused(400, "prompt", "max_tokens is 16");
}

#[test]
fn a_seed_gives_the_same_text_and_each_choice_its_own() {
    let server = Server::start(Limits::default());
    let of = |seed: u64, n: usize| {
        texts(&server.post(&asked(
            json!({"temperature": 1, "seed": seed, "n": n, "max_tokens": 8}),
        )))
    };
    let two = of(5, 2);
    assert_eq!(two, of(5, 2));
    assert_ne!(two[0], two[1]);
    // The seed of the second choice is the seed of the request plus 1.
    assert_eq!(two[1], of(6, 1)[0]);
    // Requests without a seed get different seeds.
    let of_nobody = || texts(&server.post(&asked(json!({"temperature": 1, "max_tokens": 8}))));
    assert_ne!(of_nobody(), of_nobody());
    let answer = server.post(&asked(json!({"prompt": ["a", "b"], "n": 2})));
    let choices = answer.json()["choices"].clone();
    let places: Vec<&Value> = choices
        .as_array()
        .expect("choices")
        .iter()
        .map(|c| &c["index"])
        .collect();
    assert_eq!(places, [0, 1, 2, 3]);
}

#[test]
fn a_stop_ends_a_text_and_is_no_part_of_it() {
    let server = Server::start(Limits::default());
    let choice = server
        .post(&asked(
            json!({"max_tokens": 9, "stop": ["gh", "x"], "logprobs": 0}),
        ))
        .choice();
    assert_eq!(choice["text"], "def");
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["logprobs"]["tokens"], json!(["d", "e", "f"]));
    // Stop texts inside the prompt are ignored.
    let echoed = server.post(&asked(json!({"stop": "b", "echo": true})));
    assert_eq!(echoed.text(), "abcdef");
    // At the end of the answer, text that could have become a stop text is returned.
    assert_eq!(server.post(&asked(json!({"stop": "fx"}))).text(), "def");
}

/// Returns the events of an answer, without the last one.
#[track_caller]
fn events(answer: &Answer) -> Vec<Value> {
    assert!(answer.head.contains("text/event-stream"), "{answer:?}");
    // In the body, a line with the length stands before each chunk. Only lines with data are kept.
    let lines = answer
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    let mut lines: Vec<&str> = lines.collect();
    assert_eq!(lines.pop(), Some("[DONE]"), "{answer:?}");
    lines
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn events_together_are_the_answer() {
    let server = Server::start(Limits::default());
    let fields =
        json!({"max_tokens": 6, "logprobs": 1, "echo": true, "stop": "ij", "recurrence": 3});
    let whole = server.post(&asked(fields.clone())).choice();
    let mut streamed = asked(fields);
    streamed["stream"] = json!(true);
    streamed["stream_options"] = json!({"include_usage": true});
    let mut events = events(&server.post(&streamed));
    let usage = events.pop().expect("events");
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 6);
    assert!(events.len() > 3, "{events:?}");
    let pieces: Vec<&Value> = events.iter().map(|event| &event["choices"][0]).collect();
    let text: String = pieces
        .iter()
        .map(|piece| piece["text"].as_str().expect("a text"))
        .collect();
    assert_eq!(json!(text), whole["text"]);
    assert_eq!(text, "abcdefghi");
    for list in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
        let all = pieces
            .iter()
            .flat_map(|piece| piece["logprobs"][list].as_array().expect("a list"));
        assert_eq!(
            json!(all.collect::<Vec<_>>()),
            whole["logprobs"][list],
            "{list}"
        );
    }
    let found = whole["logprobs"]["token_logprobs"][5]
        .as_f64()
        .expect("a number");
    assert!((found - log_p(3.0)).abs() < 1e-12);
    assert_eq!(
        pieces.last().expect("pieces")["finish_reason"],
        whole["finish_reason"]
    );
}

#[test]
fn what_cannot_be_begun_is_no_event() {
    let server = Server::start(Limits::default());
    let body = asked(json!({"prompt": "no", "stream": true}));
    server
        .post(&body)
        .refused(400, "prompt", "this text has no tokens");
}
