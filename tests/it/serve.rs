//! Tests `trainer serve` with a small client. It serves OpenAI's completions of raven-tiny, whose
//! tokenizer has one token per byte.

#[path = "../../crates/rondo-serve/src/testing/client.rs"]
mod client;
mod refusals;
mod scores;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use self::client::{Answer, Client};
use crate::harness::{Ended, assert_ok, copy_folder, ended, root, run, scratch, trainer};

/// Returns the golden folder of benchmark items.
fn golden() -> PathBuf {
    root().join("tests/golden/lm-eval-raven-tiny")
}

/// Imports raven-tiny, with or without the tokenizer of the golden items.
fn imported(with_tokenizer: bool) -> (TempDir, PathBuf) {
    let dir = scratch();
    let source = dir.path().join("source");
    copy_folder(&root().join("tests/golden/raven-tiny"), &source);
    if with_tokenizer {
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            std::fs::copy(golden().join(name), source.join(name)).expect("a file can be copied");
        }
    }
    let out = dir.path().join("run");
    let (source, path) = (source.display().to_string(), out.display().to_string());
    assert_ok(&run(["import", &source, "--out", &path]));
    (dir, out)
}

/// A server that is stopped when the test ends.
struct Server {
    child: Option<Child>,
    address: String,
    _dir: TempDir,
    run: PathBuf,
}

impl Server {
    /// Serves raven-tiny on a free port. By default, generations start from the zero state.
    fn start(further: &[&str]) -> Self {
        Self::of(imported(true), further)
    }

    fn of((dir, run): (TempDir, PathBuf), further: &[&str]) -> Self {
        let states: &[&str] = match further.contains(&"--initial-state") {
            true => &[],
            false => &["--initial-state", "zero"],
        };
        let mut child = trainer()
            .arg("serve")
            .arg(&run)
            .args(["--port", "0", "--device", "flex"])
            .args(states)
            .args(further)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut line = String::new();
        let out = child.stdout.as_mut().expect("standard output");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("http://");
        let address = address
            .unwrap_or_else(|| panic!("no address: {line:?}"))
            .to_owned();
        Self {
            child: Some(child),
            address,
            _dir: dir,
            run,
        }
    }

    fn connect(&self) -> Client {
        Client::new(&self.address)
    }

    fn post(&self, body: &Value) -> Answer {
        let mut client = self.connect();
        client.post(&body.to_string());
        client.answer()
    }

    fn get(&self, path: &str) -> Answer {
        let mut client = self.connect();
        client.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        ));
        client.answer()
    }

    /// Waits until `wanted` accepts the answer about the server's health.
    fn wait_for(&self, wanted: impl Fn(&Value) -> bool) {
        let begun = std::time::Instant::now();
        while !wanted(&self.get("/health").json()) {
            assert!(begun.elapsed().as_secs() < 120, "it never happens");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("a server").id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Waits for the end of the server, and returns its output.
    fn ended(mut self) -> Ended {
        let child = self.child.take().expect("it ends once");
        ended(child.wait_with_output().expect("the program ends"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Returns a greedy request with a prompt and the fields `fields`.
fn asked(fields: Value) -> Value {
    let mut body = json!({"prompt": "some words", "temperature": 0, "max_tokens": 8});
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
        body.extend(fields);
    }
    body
}

/// Returns a request for 12,800 tokens at the largest depth. It takes longer than a test runs.
fn endless() -> Value {
    asked(json!({"prompt": vec!["some words"; 8], "n": 16, "max_tokens": 100, "recurrence": 64}))
}

/// Returns the items of a golden file.
fn items(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("items");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_run_is_served_with_what_it_is() {
    let server = Server::start(&[]);
    let models = server.get("/v1/models").json();
    let model = &models["data"][0];
    assert_eq!(model["id"], "run");
    assert_eq!(model["max_model_len"], 128);
    assert_eq!(server.get("/health").json()["status"], "ok");
    let answer = server.post(&asked(json!({"logprobs": 2})));
    assert_eq!(answer.json()["recurrence"], model["recurrence"]);
    let choice = answer.choice();
    assert_eq!(
        choice["logprobs"]["tokens"].as_array().map(Vec::len),
        Some(8)
    );
    // `trainer generate` writes the same text at this depth.
    let depth = model["recurrence"].to_string();
    let run_dir = server.run.display().to_string();
    let args = [
        "generate",
        &run_dir,
        "--prompt",
        "some words",
        "--max-tokens",
        "8",
        "--device",
        "flex",
        "--json",
    ];
    let generated =
        run(args
            .into_iter()
            .chain(["--initial-state", "zero", "--recurrence", &depth]));
    assert_ok(&generated);
    assert_eq!(generated.json()["text"], choice["text"]);
}

#[test]
fn a_seed_gives_the_same_text_twice() {
    let server = Server::start(&[]);
    let of = |seed: u64| {
        server
            .post(&asked(json!({"temperature": 1, "seed": seed})))
            .choice()["text"]
            .clone()
    };
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

#[test]
fn a_run_without_a_tokenizer_takes_and_gives_ids() {
    let server = Server::of(imported(false), &[]);
    server.post(&asked(json!({}))).refused(
        400,
        "prompt",
        "this run has no tokenizer; give token ids",
    );
    let choice = server
        .post(&asked(
            json!({"prompt": [1, 2, 3], "max_tokens": 2, "echo": true, "logprobs": 1}),
        ))
        .choice();
    let text = choice["text"].as_str().expect("a text");
    assert!(text.starts_with("1 2 3 "), "{text}");
    assert_eq!(choice["logprobs"]["tokens"][1], "token_id:2");
    assert_eq!(
        choice["logprobs"]["text_offset"],
        json!([0, 2, 4, 6, choice["logprobs"]["text_offset"][4]])
    );
}

#[cfg(unix)]
#[test]
fn a_signal_ends_the_server_in_order() {
    for signal in ["TERM", "INT"] {
        let server = Server::start(&[]);
        assert_eq!(server.post(&asked(json!({}))).status, 200);
        server.signal(signal);
        let ended = server.ended();
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(
            ended.stderr.contains("1 answered, 0 refused, 0 left"),
            "{ended:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_request_that_outlasts_its_grace_is_dropped_and_told() {
    let server = Server::start(&["--grace", "0"]);
    let mut client = server.connect();
    client.post(&endless().to_string());
    server.wait_for(|health| health["busy"] == json!(true));
    server.signal("TERM");
    client.answer().refused(503, "", "the server is ending");
    let ended = server.ended();
    assert_eq!(ended.code, 75, "{ended:?}");
    assert!(ended.stderr.contains("and 1 requests with it"), "{ended:?}");
}
