//! Tests invalid requests and clients that behave badly. Each gets an error, and the server
//! continues.

use serde_json::json;

use super::{Server, asked, endless};
use crate::harness::{refused, run};

#[test]
fn what_is_wrong_with_a_request_is_told_and_ends_nothing() {
    let server = Server::start(&["--max-body", "1"]);
    let sent = |text: &str| {
        let mut client = server.connect();
        client.post(text);
        client.answer()
    };
    sent("{\"prompt\": \"a\"").refused(400, "", "not JSON");
    sent("{\"prompt\": {}}").refused(400, "prompt", "found an object");
    sent("{\"prompt\": [128]}").refused(400, "prompt", "ids are whole numbers below");
    server
        .post(&asked(json!({"max_tokens": "x"})))
        .refused(400, "max_tokens", "found \"x\"");
    server.post(&asked(json!({"recurence": 4}))).refused(
        400,
        "recurence",
        "did you mean `recurrence`?",
    );
    let long = asked(json!({"prompt": "a".repeat(129), "max_tokens": 1}));
    server
        .post(&long)
        .refused(400, "prompt", "maximum context length is 128 tokens");
    let large = asked(json!({"prompt": "a".repeat(2 << 20)}));
    server
        .post(&large)
        .refused(413, "", "larger than the 1048576 bytes");
    assert_eq!(server.get("/v1/embeddings").status, 404);
    let wrong = server.get("/v1/completions");
    assert_eq!(wrong.status, 405);
    assert!(wrong.head.contains("allow: post"), "{wrong:?}");
    assert_eq!(server.post(&asked(json!({}))).status, 200);
}

#[test]
fn requests_beyond_the_queue_wait_outside_and_a_client_that_leaves_makes_room() {
    let server = Server::start(&["--queue", "1"]);
    let endless = endless().to_string();
    let begin = || {
        let mut client = server.connect();
        client.post(&endless);
        client
    };
    let first = begin();
    server.wait_for(|health| health["busy"] == json!(true));
    let second = begin();
    server.wait_for(|health| health["waiting"] == json!(1));
    let third = server.post(&asked(json!({})));
    third.refused(429, "", "1 requests wait already");
    assert!(third.head.contains("retry-after: 1"), "{third:?}");
    drop((first, second));
    server.wait_for(|health| health["cancelled"] == json!(2));
    assert_eq!(server.post(&asked(json!({}))).status, 200);
}

#[test]
fn what_is_wrong_with_the_command_line_is_told_before_the_weights_are_read() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let ended = run(["serve", "nowhere", "--port", &port]);
    refused(&ended, 2, &["--port", "choose another --port, or 0"]);
    let ended = run(["serve", "nowhere", "--port", "0", "--device", "flex"]);
    refused(&ended, 2, &["nowhere"]);
    let ended = run(["serve", "nowhere", "--recurrence", "0"]);
    assert_eq!(ended.code, 2, "{ended:?}");
}
