//! Log-probabilities as lm-evaluation-harness (lm-eval) reads them.

use serde_json::{Value, json};

use super::log_p;
use crate::limits::Limits;
use crate::testing::{Server, asked};

#[track_caller]
fn assert_numbers(found: &Value, expected: &[Option<f64>]) {
    let found: Vec<Option<f64>> = found
        .as_array()
        .expect("a list")
        .iter()
        .map(Value::as_f64)
        .collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        let close = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
            (found, expected) => found == expected,
        };
        assert!(close, "{found:?} is not {expected:?}");
    }
}

#[test]
fn a_prompt_is_scored_from_its_second_token_on_and_the_new_token_follows() {
    let server = Server::start(Limits::default());
    // lm-eval sends such a request.
    let body = json!({"model": "m", "prompt": [[97, 98, 120]], "temperature": 0, "max_tokens": 1, "logprobs": 1,
        "seed": 1234, "echo": true});
    let answer = server.post(&body);
    let marks = answer.choice()["logprobs"].clone();
    assert_eq!(answer.text(), "abxy");
    assert_eq!(marks["tokens"], json!(["a", "b", "x", "y"]));
    assert_eq!(marks["text_offset"], json!([0, 1, 2, 3]));
    let other = log_p(4.0) - 4.0;
    let expected = [None, Some(log_p(4.0)), Some(other), Some(log_p(4.0))];
    assert_numbers(&marks["token_logprobs"], &expected);
    let top = &marks["top_logprobs"];
    assert_eq!(top[0], Value::Null);
    // The prompt's own token is the likeliest here. Both log-probabilities have the same bits,
    // because lm-eval compares them for equality.
    assert_eq!(top[1], json!({"b": marks["token_logprobs"][1]}));
    // A token of the prompt that is not among the likeliest is listed in addition.
    let names: Vec<&String> = top[2].as_object().expect("an object").keys().collect();
    assert_eq!(names, ["c", "x"]);
    assert_eq!(
        answer.json()["usage"],
        json!({"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4})
    );
}

#[test]
fn no_new_token_is_needed() {
    let server = Server::start(Limits::default());
    let answer = server.post(&asked(
        json!({"max_tokens": 0, "echo": true, "logprobs": 0}),
    ));
    assert_eq!(answer.text(), "abc");
    let marks = answer.choice()["logprobs"].clone();
    assert_numbers(
        &marks["token_logprobs"],
        &[None, Some(log_p(4.0)), Some(log_p(4.0))],
    );
    assert_eq!(answer.choice()["finish_reason"], "length");
    let plain = server.post(&asked(json!({"max_tokens": 0, "echo": true})));
    assert_eq!(
        plain.choice(),
        json!({"index": 0, "text": "abc", "logprobs": null, "finish_reason": "length"})
    );
}

#[test]
fn the_depth_is_the_requests() {
    let server = Server::start(Limits::default());
    for depth in [1, 2, 64] {
        let answer = server.post(&asked(
            json!({"max_tokens": 0, "echo": true, "logprobs": 1, "recurrence": depth}),
        ));
        let expected = Some(log_p(f64::from(depth)));
        assert_numbers(
            &answer.choice()["logprobs"]["token_logprobs"],
            &[None, expected, expected],
        );
        assert_eq!(answer.json()["recurrence"], depth);
    }
}

#[test]
fn the_token_that_ends_a_text_is_listed_and_is_no_text() {
    let server = Server::start(Limits::default());
    for max_tokens in [1, 3] {
        let answer = server.post(&asked(
            json!({"prompt": "yz", "max_tokens": max_tokens, "echo": true, "logprobs": 1}),
        ));
        let choice = answer.choice();
        assert_eq!(choice["text"], "yz");
        assert_eq!(choice["logprobs"]["tokens"], json!(["y", "z", "<end>"]));
        assert_eq!(choice["finish_reason"], "stop");
    }
}

#[test]
fn a_prompt_may_fill_the_context_and_no_more() {
    let server = Server::start(Limits::default());
    let of = |length: usize, max_tokens: usize| {
        server.post(&asked(json!({"prompt": "a".repeat(length), "max_tokens": max_tokens, "echo": true, "logprobs": 1})))
    };
    // The model reads 16 tokens. If an answer has at most one new token, its last token is not
    // read.
    for (length, max_tokens, is_answered) in [
        (17, 0, true),
        (18, 0, false),
        (16, 1, true),
        (17, 1, false),
        (14, 2, true),
        (15, 2, false),
    ] {
        let answer = of(length, max_tokens);
        assert_eq!(
            answer.status == 200,
            is_answered,
            "{length} and {max_tokens}: {answer:?}"
        );
    }
    of(20, 1).refused(
        400,
        "prompt",
        "has 20 tokens and max_tokens is 1, 21 together",
    );
    of(20, 1).refused(400, "prompt", "maximum context length is 16");
    assert_eq!(of(20, 1).json()["error"]["code"], "context_length_exceeded");
    let second = asked(json!({"prompt": [[97], vec![97; 40]]}));
    server
        .post(&second)
        .refused(400, "prompt", "prompt 1 has 40 tokens");
}

#[test]
fn an_answer_of_too_many_numbers_is_refused() {
    let server = Server::with_context(Limits::default(), 1 << 20);
    let body =
        asked(json!({"prompt": vec![97; 100_000], "max_tokens": 0, "echo": true, "logprobs": 20}));
    server.post(&body).refused(400, "prompt", "2100000 numbers");
}
