//! A small HTTP client that can also send invalid requests. The tests of the whole program also use
//! it.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};

use serde_json::Value;

/// A connection.
pub(crate) struct Client(pub(crate) TcpStream);

/// A received answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn new(address: impl ToSocketAddrs) -> Self {
        Self(TcpStream::connect(address).expect("the server accepts"))
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("the server reads");
    }

    /// Posts to `/v1/completions`.
    pub(crate) fn post(&mut self, body: &str) {
        self.send(&format!(
            "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        ));
    }

    /// Reads until the server closes the connection.
    pub(crate) fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        // An error is ignored: a connection may be reset after the answer was delivered.
        let _ = self.0.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Returns the answer's only choice.
    #[track_caller]
    pub(crate) fn choice(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        let choices = self.json()["choices"].clone();
        assert_eq!(choices.as_array().map(Vec::len), Some(1), "{self:?}");
        choices[0].clone()
    }

    /// Asserts that the answer is an error with this status and that its message contains `part`.
    /// The error must name the field `param`, or no field if `param` is empty.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, param: &str, part: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let error = self.json()["error"].clone();
        assert_eq!(error["param"].as_str().unwrap_or(""), param, "{self:?}");
        let message = error["message"].as_str().expect("a message");
        assert!(message.contains(part), "{part} is missing in {message}");
    }
}
