mod server;

use std::net::TcpListener;
use std::ops::ControlFlow;
use std::path::Path;

use hf_hub::Cache;

use self::server::{COMMIT, Server};
use super::client::Client;
use super::*;
use crate::prepare::{PreparePhase, PrepareProgress};

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

/// Returns the paths of files in the cache; the progress is ignored.
fn paths_of(client: &Client, files: &HubFiles) -> Result<Vec<String>, DataError> {
    client.paths(files, &mut |_| ControlFlow::Continue(()))
}

fn offline(cache: &Path) -> Client {
    Client {
        cache: Cache::new(cache.to_owned()),
        api: None,
    }
}

/// Returns the texts of files, with their paths relative to the folder.
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

const FILES: [(&str, &[u8]); 4] = [
    ("README.md", b"about"),
    ("data/test-0.jsonl", b"{\"text\":\"t\"}\n"),
    ("data/train-1.jsonl", b"{\"text\":\"b\"}\n"),
    ("data/train-0.jsonl", b"{\"text\":\"a\"}\n"),
];

#[test]
fn files_come_from_the_server_once_and_then_from_the_cache() {
    let server = Server::start(FILES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = wanted(&["data/train-*.jsonl"]);
    let missing = paths_of(&offline(folder.path()), &files).expect_err("an empty cache");
    let missing = missing.to_string();
    for expected in ["org/texts at main", "HF_HUB_OFFLINE", "no such revision"] {
        assert!(missing.contains(expected), "{missing}");
    }
    let mut told = Vec::new();
    let paths = online(folder.path(), &server.address)
        .paths(&files, &mut |progress| {
            told.push(progress);
            ControlFlow::Continue(())
        })
        .expect("there");
    let file = |file, done, total| PrepareProgress {
        phase: PreparePhase::Downloading { file, files: 2 },
        done,
        total,
    };
    for expected in [file(1, 0, 13), file(1, 13, 13), file(2, 13, 13)] {
        assert!(told.contains(&expected), "{told:?}");
    }
    let expected = [
        ("data/train-0.jsonl", "{\"text\":\"a\"}\n"),
        ("data/train-1.jsonl", "{\"text\":\"b\"}\n"),
    ];
    let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(contents(&paths, folder.path()), expected);
    let asked = server.asked();
    let again = paths_of(&online(folder.path(), &server.address), &files).expect("there");
    assert_eq!(
        server.asked(),
        asked + 1,
        "only what there is is asked for again"
    );
    assert_eq!(again, paths);
    let cached = paths_of(&offline(folder.path()), &files).expect("in the cache");
    assert_eq!(contents(&cached, folder.path()), expected);
    // A server that does not answer: nothing listens on the port of a closed listener.
    let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let gone = format!("http://{}", gone.expect("an address"));
    let cached = paths_of(&online(folder.path(), &gone), &files).expect("in the cache");
    assert_eq!(contents(&cached, folder.path()), expected);
}

#[test]
fn what_is_missing_is_said() {
    let server = Server::start(FILES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refused = |client: Client, files: &HubFiles| {
        let error = paths_of(&client, files).expect_err("not there");
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
    let client = online(folder.path(), &server.address);
    paths_of(&client, &wanted(&["README.md"])).expect("one file");
    let error = refused(offline(folder.path()), &wanted(&["data/*.jsonl"]));
    assert!(error.contains("no file matches `data/*.jsonl`"), "{error}");
    assert!(error.contains("in the cache"), "{error}");
}

#[test]
fn a_name_may_have_a_revision() {
    let files = ["*.parquet".to_owned()];
    let named = |name| {
        let HubFiles { repo, revision, .. } = HubFiles::named(name, &files);
        (repo, revision)
    };
    let both = |repo: &str, revision: &str| (repo.to_owned(), revision.to_owned());
    assert_eq!(named("org/texts"), both("org/texts", "main"));
    assert_eq!(named("org/texts@v1.0"), both("org/texts", "v1.0"));
    assert_eq!(named("org/texts@refs/pr/1"), both("org/texts", "refs/pr/1"));
    assert_eq!(named("org/texts@"), both("org/texts", ""));
}

#[test]
fn downloads_end_between_two_files_where_that_is_asked_for() {
    let server = Server::start(FILES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let client = online(folder.path(), &server.address);
    let error = client.paths(&wanted(&["data/*"]), &mut |progress| match progress.phase {
        PreparePhase::Downloading { file: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(error, Err(DataError::Interrupted)), "{error:?}");
    // The first file is in the cache, and the others are downloaded now.
    assert_eq!(
        paths_of(&client, &wanted(&["data/*"]))
            .expect("there")
            .len(),
        3
    );
}
