use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use hf_hub::Cache;

use super::client::Client;
use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A server in this process that speaks the paths of the Hub for one repository, `org/texts`.
struct Server {
    address: String,
    /// The first line of every request.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(files: &[(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        let heard = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = answer(stream, &files, &heard);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }
}

/// Answers one request: what a repository has, or (a range of) a file.
fn answer(
    mut stream: TcpStream,
    files: &BTreeMap<&str, &str>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut start = None;
    let mut end = None;
    for line in lines {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            let (from, to) = range.split_once('-').unwrap_or((range, ""));
            start = from.parse().ok();
            end = to.parse::<usize>().ok();
        }
    }
    asked.lock().expect("no panic").push(first.clone());
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut send = |status: &str, headers: &str, body: &[u8]| {
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n"
        )?;
        stream.write_all(body)
    };
    if path == "/api/datasets/org/texts/revision/main" {
        let names: Vec<_> = files
            .keys()
            .map(|name| serde_json::json!({"rfilename": name}))
            .collect();
        let info = serde_json::json!({"sha": COMMIT, "siblings": names}).to_string();
        return send(
            "200 OK",
            "Content-Type: application/json\r\n",
            info.as_bytes(),
        );
    }
    let file = path.strip_prefix(&format!("/datasets/org/texts/resolve/{COMMIT}/"));
    match file.and_then(|name| Some((name, files.get(name)?))) {
        Some((name, text)) => {
            let start: usize = start.unwrap_or(0);
            let end = end.map_or(text.len(), |end| (end + 1).min(text.len()));
            let etag = blake3::hash(text.as_bytes()).to_hex();
            let headers = format!(
                "ETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Range: bytes {start}-{}/{}\r\nX-Name: {name}\r\n",
                end.saturating_sub(1),
                text.len()
            );
            send(
                "206 Partial Content",
                &headers,
                &text.as_bytes()[start..end],
            )
        }
        None => send("404 Not Found", "", b"Repository not found"),
    }
}

fn wanted(files: &[&str]) -> HubFiles {
    HubFiles {
        repo: "org/texts".to_owned(),
        revision: main_branch(),
        files: files.iter().map(|&file| file.to_owned()).collect(),
    }
}

fn online(cache: &Path, server: &str) -> Client {
    let cache = Cache::new(cache.to_owned());
    Client::of(cache, Some(server.to_owned()), None).expect("a client")
}

fn offline(cache: &Path) -> Client {
    Client {
        cache: Cache::new(cache.to_owned()),
        api: None,
    }
}

/// The texts of files, by the end of their paths.
fn contents(paths: &[String], folder: &Path) -> Vec<(String, String)> {
    let read = |path: &String| {
        let text = std::fs::read_to_string(path).expect("in the cache");
        let snapshot = folder.join("datasets--org--texts/snapshots").join(COMMIT);
        let name = Path::new(path)
            .strip_prefix(snapshot)
            .expect("in the snapshot");
        (name.display().to_string(), text)
    };
    paths.iter().map(read).collect()
}

const FILES: [(&str, &str); 4] = [
    ("README.md", "about"),
    ("data/test-0.jsonl", "{\"text\":\"t\"}\n"),
    ("data/train-1.jsonl", "{\"text\":\"b\"}\n"),
    ("data/train-0.jsonl", "{\"text\":\"a\"}\n"),
];

#[test]
fn files_come_from_the_server_once_and_then_from_the_cache() {
    let server = Server::start(&FILES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = wanted(&["data/train-*.jsonl"]);
    let missing = offline(folder.path())
        .paths(&files)
        .expect_err("an empty cache");
    let missing = missing.to_string();
    for expected in ["org/texts at main", "HF_HUB_OFFLINE", "no such revision"] {
        assert!(missing.contains(expected), "{missing}");
    }
    let paths = online(folder.path(), &server.address)
        .paths(&files)
        .expect("there");
    let expected = [
        ("data/train-0.jsonl", "{\"text\":\"a\"}\n"),
        ("data/train-1.jsonl", "{\"text\":\"b\"}\n"),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(contents(&paths, folder.path()), expected);
    let asked = server.asked();
    let again = online(folder.path(), &server.address)
        .paths(&files)
        .expect("there");
    assert_eq!(
        server.asked(),
        asked + 1,
        "only what there is is asked for again"
    );
    assert_eq!(again, paths);
    let cached = offline(folder.path()).paths(&files).expect("in the cache");
    assert_eq!(contents(&cached, folder.path()), expected);
    // A server that does not answer: nothing listens on the port of a listener that is gone.
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let gone = format!("http://{}", gone.expect("an address"));
    let cached = online(folder.path(), &gone)
        .paths(&files)
        .expect("in the cache");
    assert_eq!(contents(&cached, folder.path()), expected);
}

#[test]
fn what_is_missing_is_said() {
    let server = Server::start(&FILES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refused = |client: Client, files: &HubFiles| {
        let error = client.paths(files).expect_err("not there");
        error.to_string()
    };
    let error = refused(
        online(folder.path(), &server.address),
        &wanted(&["*.parquet"]),
    );
    assert!(error.contains("no file matches `*.parquet`"), "{error}");
    assert!(error.contains("4 files, among them README.md"), "{error}");
    let other = HubFiles {
        repo: "org/other".to_owned(),
        ..wanted(&["*"])
    };
    let error = refused(online(folder.path(), &server.address), &other);
    assert!(
        error.contains("org/other at main") && error.contains("404"),
        "{error}"
    );
    online(folder.path(), &server.address)
        .paths(&wanted(&["README.md"]))
        .expect("one file");
    let error = refused(offline(folder.path()), &wanted(&["data/*.jsonl"]));
    assert!(error.contains("no file matches `data/*.jsonl`"), "{error}");
    assert!(error.contains("in the cache"), "{error}");
}
