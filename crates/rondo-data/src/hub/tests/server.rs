//! A server with the paths of the Hub, for tests.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The commit of the branch `main` of the repository.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

type Files = BTreeMap<String, Vec<u8>>;

/// A server in this process with one repository, `org/texts`.
pub(crate) struct Server {
    pub(crate) address: String,
    /// The first line of every request.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Starts a server whose repository has these files; it ends with the process.
    pub(crate) fn start<B: Into<Vec<u8>>>(
        files: impl IntoIterator<Item = (&'static str, B)>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let files: Files = files
            .into_iter()
            .map(|(name, bytes)| (name.to_owned(), bytes.into()))
            .collect();
        let requests = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client may end a connection early.
                let _ = answer(stream, &files, &requests);
            }
        });
        Self { address, asked }
    }

    /// Returns how many requests there were.
    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }
}

/// Answers one request: the file list of a repository, or (a range of) a file.
fn answer(mut stream: TcpStream, files: &Files, asked: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let (mut start, mut end) = (None, None);
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
    match file.and_then(|name| files.get(name)) {
        Some(bytes) => {
            let start: usize = start.unwrap_or(0);
            let end = end.map_or(bytes.len(), |end| (end + 1).min(bytes.len()));
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            let headers = format!(
                "ETag: \"{:016x}\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Range: bytes {start}-{}/{}\r\n",
                hasher.finish(),
                end.saturating_sub(1),
                bytes.len()
            );
            send("206 Partial Content", &headers, &bytes[start..end])
        }
        None => send("404 Not Found", "", b"Repository not found"),
    }
}
