//! Invalid requests, and clients that behave badly.

use std::io::Read;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::limits::Limits;
use crate::testing::{Server, asked};

/// Limits that give clients little time.
const HURRIED: Limits = Limits {
    body: 4096,
    queue: 1,
    connections: 8,
    patience: Duration::from_millis(200),
    grace: Duration::from_secs(10),
};

#[test]
fn what_is_wrong_with_a_body_or_a_prompt_is_told() {
    let server = Server::start(Limits::default());
    for (body, param, part) in [
        ("{\"prompt\": ", "", "not JSON"),
        ("[1, 2]", "", "must be a JSON object, found a list"),
        ("{}", "prompt", "is missing"),
        ("{\"prompt\": null}", "prompt", "is missing"),
        ("{\"prompt\": 5}", "prompt", "found a number"),
        ("{\"prompt\": []}", "prompt", "empty list"),
        ("{\"prompt\": [[]]}", "prompt", "list 0 holds no token"),
        (
            "{\"prompt\": [\"a\", 1]}",
            "prompt",
            "found a number among them",
        ),
        (
            "{\"prompt\": [1, \"a\"]}",
            "prompt",
            "place 1 of the token ids holds \"a\"",
        ),
        (
            "{\"prompt\": [257]}",
            "prompt",
            "holds 257; ids are whole numbers below 257",
        ),
        ("{\"prompt\": [1.5]}", "prompt", "holds 1.5"),
        ("{\"prompt\": [-1]}", "prompt", "holds -1"),
    ] {
        server.post_text(body).refused(400, param, part);
    }
}

#[test]
fn what_is_wrong_with_a_field_is_told_with_its_name() {
    let server = Server::start(Limits::default());
    for (fields, param, part) in [
        (
            json!({"max_tokens": -1}),
            "max_tokens",
            "at least 0, found -1",
        ),
        (json!({"max_tokens": "5"}), "max_tokens", "found \"5\""),
        (json!({"max_tokens": 0}), "max_tokens", "only with echo"),
        (
            json!({"max_tokens": u64::MAX}),
            "prompt",
            "maximum context length",
        ),
        (
            json!({"recurrence": 0}),
            "recurrence",
            "from 1 to 64, found 0",
        ),
        (
            json!({"recurrence": 65}),
            "recurrence",
            "from 1 to 64, found 65",
        ),
        (json!({"recurrence": [1, 4]}), "recurrence", "found a list"),
        (json!({"temperature": -0.1}), "temperature", "found -0.1"),
        (json!({"top_p": 0}), "top_p", "above 0"),
        (json!({"top_k": 1.5}), "top_k", "found 1.5"),
        (json!({"min_p": 2}), "min_p", "from 0 to 1"),
        (
            json!({"repetition_penalty": 0}),
            "repetition_penalty",
            "a positive number",
        ),
        (json!({"seed": "x"}), "seed", "whole number"),
        (json!({"n": 17}), "n", "from 1 to 16"),
        (json!({"echo": 1}), "echo", "true or false"),
        (json!({"logprobs": 21}), "logprobs", "from 0 to 20"),
        (json!({"stop": ""}), "stop", "would end everything"),
        (json!({"stop": [1]}), "stop", "found a number"),
        (json!({"stop": vec!["x"; 17]}), "stop", "has 17 texts"),
        (json!({"stream": "yes"}), "stream", "true or false"),
        (
            json!({"stream_options": {}}),
            "stream_options",
            "is for stream: true",
        ),
        (json!({"best_of": 2}), "best_of", "it must be n"),
        (
            json!({"presence_penalty": 0.5}),
            "presence_penalty",
            "only 0",
        ),
        (
            json!({"frequency_penalty": 1}),
            "frequency_penalty",
            "only 0",
        ),
        (json!({"logit_bias": {"5": 100}}), "logit_bias", "not known"),
        (json!({"suffix": "b"}), "suffix", "only continued"),
        (
            json!({"recurence": 4}),
            "recurence",
            "did you mean `recurrence`?",
        ),
        (
            json!({"guided_json": {}}),
            "guided_json",
            "there are prompt, recurrence",
        ),
        (json!({"prompt": "no"}), "prompt", "has no tokens"),
    ] {
        server.post(&asked(fields)).refused(400, param, part);
    }
}

#[test]
fn what_changes_nothing_is_taken() {
    let server = Server::start(Limits::default());
    let fields = json!({"model": "gpt", "user": "u", "best_of": 1, "n": 1, "presence_penalty": 0.0, "logit_bias": {},
        "frequency_penalty": 0, "suffix": null, "stop": null, "logprobs": null, "top_p": 1, "top_k": -1, "stream": false,
        "metadata": {"a": "b"}, "seed": -3, "anything": null});
    assert_eq!(server.post(&asked(fields)).text(), "def");
}

#[test]
fn paths_methods_and_types_are_checked() {
    let server = Server::start(Limits::default());
    let sent = |request: &str| {
        let mut client = server.connect();
        client.send(request);
        client.answer()
    };
    server
        .get("/v1/chat/completions")
        .refused(404, "", "POST /v1/completions");
    let wrong = server.get("/v1/completions");
    wrong.refused(405, "", "answers POST only, found GET");
    assert!(wrong.head.contains("allow: post"), "{wrong:?}");
    let form = "POST /v1/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}";
    sent(form).refused(415, "", "must be application/json, found text/plain");
    assert_eq!(sent("nonsense\r\n\r\n").status, 400);
    let long = format!(
        "GET /health HTTP/1.1\r\nConnection: close\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let mut client = server.connect();
    // The write may fail, because the server does not read the whole head.
    let _ = std::io::Write::write_all(&mut client.0, long.as_bytes());
    assert!([431, 0].contains(&client.answer().status));
    let models = server.get("/v1/models").json();
    assert_eq!(models["data"][0]["id"], "alphabet");
    assert_eq!(models["data"][0]["max_model_len"], 16);
    assert_eq!(server.get("/health").json()["status"], "ok");
}

#[test]
fn a_body_that_is_too_large_is_refused_announced_or_not() {
    let server = Server::start(HURRIED);
    let body = asked(json!({"prompt": "a".repeat(5000)})).to_string();
    server
        .post_text(&body)
        .refused(413, "", "larger than the 4096 bytes");
    let mut client = server.connect();
    client.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 999999999\r\n\r\n");
    client
        .answer()
        .refused(413, "", "larger than the 4096 bytes");
    let mut client = server.connect();
    client.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(&format!("1388\r\n{}\r\n0\r\n\r\n", "a".repeat(5000)));
    client
        .answer()
        .refused(413, "", "larger than the 4096 bytes");
}

#[test]
fn clients_that_send_slowly_are_ended() {
    let server = Server::start(HURRIED);
    let mut slow_body = server.connect();
    slow_body.send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"pro");
    slow_body
        .answer()
        .refused(408, "", "not there after 0.2 seconds");
    let mut slow_head = server.connect();
    slow_head.send("POST /v1/completions HT");
    // The server closes the connection. It may send the status 408 first.
    assert!([0, 408].contains(&slow_head.answer().status));
    assert_eq!(server.post(&asked(json!({}))).text(), "def");
}

#[test]
fn a_client_that_does_not_read_is_ended() {
    let limits = Limits {
        body: 4 << 20,
        ..HURRIED
    };
    let server = Server::with_context(limits, 1 << 20);
    // The answer has about 9 MB, far more than sockets buffer.
    let body =
        asked(json!({"prompt": vec![97; 150_000], "max_tokens": 0, "echo": true, "logprobs": 1}));
    let mut client = server.connect();
    client.post(&body.to_string());
    let mut begun = [0; 4096];
    let count = client.0.read(&mut begun).expect("the answer begins");
    let head = String::from_utf8_lossy(&begun[..count]).to_lowercase();
    let announced = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next());
    let announced: usize = announced
        .and_then(|length| length.parse().ok())
        .expect("a length");
    sleep(10 * limits.patience);
    let mut rest = Vec::new();
    let _ = client.0.read_to_end(&mut rest);
    assert!(
        count + rest.len() < announced,
        "{} of {announced} came",
        rest.len()
    );
    assert_eq!(server.post(&asked(json!({}))).text(), "def");
}

#[test]
fn requests_beyond_the_queue_are_refused_and_may_come_again() {
    let server = Server::start(HURRIED);
    server.hold(true);
    let begin = || {
        let mut client = server.connect();
        client.post(&asked(json!({})).to_string());
        client
    };
    let first = begin();
    server.wait_for(|health| health["busy"] == json!(true));
    let second = begin();
    server.wait_for(|health| health["waiting"] == json!(1));
    let third = begin().answer();
    third.refused(429, "", "1 requests wait already");
    assert!(third.head.contains("retry-after: 1"), "{third:?}");
    assert_eq!(third.json()["error"]["type"], "rate_limit_error");
    server.hold(false);
    for client in [first, second] {
        assert_eq!(client.answer().status, 200);
    }
    assert_eq!(server.post(&asked(json!({}))).text(), "def");
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    let server = Server::start(Limits::default());
    for streams in [false, true] {
        server.hold(true);
        let mut client = server.connect();
        client.post(&asked(json!({"stream": streams})).to_string());
        server.wait_for(|health| health["busy"] == json!(true));
        let before = server.get("/health").json()["cancelled"].as_u64();
        let mut waiting = server.connect();
        waiting.post(&asked(json!({})).to_string());
        server.wait_for(|health| health["waiting"] == json!(1));
        client.leave();
        waiting.leave();
        // The model still waits. The two requests end because their clients have left.
        server.wait_for(|health| health["cancelled"].as_u64() == before.map(|count| count + 2));
        server.hold(false);
        assert_eq!(server.post(&asked(json!({}))).text(), "def");
    }
}

#[test]
fn a_panic_of_the_model_is_the_answer_to_its_request_alone() {
    let server = Server::start(Limits::default());
    let answer = server.post(&asked(json!({"prompt": "a!"})));
    answer.refused(500, "", "the model does not like this");
    assert_eq!(answer.json()["error"]["type"], "server_error");
    assert_eq!(server.post(&asked(json!({}))).text(), "def");
}
