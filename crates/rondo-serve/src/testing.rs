//! A simulated model, a server for it, and a client that can send anything.

mod client;

use std::net::{Shutdown, SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) use self::client::{Answer, Client};
use crate::completer::{
    Card, Completer, Draw, Failure, Likely, Next, Position, Reader, Scored, Scoring, Writing,
};
use crate::limits::Limits;
use crate::serve::{Served, serve};

/// The token that ends a text.
pub(crate) const END: u32 = 256;

/// A model of bytes. At depth `r` the next letter of the alphabet has logit `r`, and every other
/// token has logit 0. The text ends after `z`.
pub(crate) struct Alphabet {
    card: Card,
    /// The number of tokens generated so far.
    written: Arc<AtomicUsize>,
    /// While this is true, the model waits before it generates a token.
    held: Arc<AtomicBool>,
}

impl Alphabet {
    fn position(token: u32, before: u32, recurrence: usize, top: usize) -> Position {
        let logit = |token: u32| f64::from(u8::from(token == after(before))) * recurrence as f64;
        let log_sum = ((recurrence as f64).exp() + 256.0).ln();
        let likely = |token| Likely {
            token,
            log_p: logit(token) - log_sum,
        };
        let others = (0..=END).filter(|token| *token != after(before));
        let top = [after(before)].into_iter().chain(others).take(top);
        Position {
            here: likely(token),
            top: top.map(likely).collect(),
        }
    }

    fn next(prompt: &[u32], draw: Draw, recurrence: usize, top: usize) -> Next {
        let before = *prompt.last().expect("no prompt is empty");
        let token = match draw.temperature > 0.0 {
            false => after(before),
            true => {
                97 + (draw.seed.wrapping_mul(31) + prompt.len() as u64 * 7 + u64::from(before))
                    as u32
                    % 25
            }
        };
        Next {
            position: Self::position(token, before, recurrence, top),
            ends: token == END,
        }
    }
}

fn after(token: u32) -> u32 {
    match token {
        122 => END,
        other => other + 1,
    }
}

/// Decodes each byte to the character with the same number. A token that is not a byte yields no
/// text.
struct Bytes;

impl Reader for Bytes {
    fn push(&mut self, token: u32) -> Result<String, Failure> {
        Ok(u8::try_from(token).map_or_else(|_| String::new(), |byte| char::from(byte).to_string()))
    }

    fn finish(self: Box<Self>) -> Result<String, Failure> {
        Ok(String::new())
    }
}

impl Completer for Alphabet {
    fn card(&self) -> &Card {
        &self.card
    }

    fn encode(&self, text: &str) -> Result<Vec<u32>, Failure> {
        match text {
            "" => Ok(vec![END]),
            "no" => Err(Failure::Refused("this text has no tokens".to_owned())),
            text => Ok(text.bytes().map(u32::from).collect()),
        }
    }

    fn reader(&self, _: &[u32]) -> Box<dyn Reader + '_> {
        Box::new(Bytes)
    }

    fn name(&self, token: u32) -> String {
        u8::try_from(token).map_or_else(|_| "<end>".to_owned(), |byte| char::from(byte).to_string())
    }

    fn score(
        &self,
        asked: Scoring<'_>,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<Scored>, Failure> {
        let mut all = Vec::new();
        for prompt in asked.prompts {
            let pairs = prompt.windows(2);
            let draws = asked.draws.iter();
            all.push(Scored {
                prompt: pairs
                    .map(|pair| Self::position(pair[1], pair[0], asked.recurrence, asked.top))
                    .collect(),
                next: draws
                    .map(|draw| Self::next(prompt, *draw, asked.recurrence, asked.top))
                    .collect(),
            });
            if go_on().is_break() {
                return Err(Failure::Cancelled);
            }
        }
        Ok(all)
    }

    fn write(
        &self,
        asked: Writing<'_>,
        on_token: &mut dyn FnMut(Next) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        assert!(
            !asked.prompt.contains(&u32::from(b'!')),
            "the model does not like this"
        );
        let mut all = asked.prompt.to_vec();
        for _ in 0..asked.max_tokens {
            let next = Self::next(&all, asked.draw, asked.recurrence, asked.top.unwrap_or(0));
            let ends = next.ends;
            all.push(next.position.here.token);
            self.written.fetch_add(1, Ordering::SeqCst);
            if on_token(next)?.is_break() || ends {
                break;
            }
            // While the model is held, it passes a token from time to time: `on_token` fails if the
            // client has left.
            while self.held.load(Ordering::SeqCst) {
                sleep(Duration::from_millis(2));
                if on_token(Self::next(&all, asked.draw, 1, 0)).is_err() {
                    return Err(Failure::Cancelled);
                }
            }
        }
        Ok(())
    }
}

/// A server on its own thread.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) held: Arc<AtomicBool>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<Served>>,
}

impl Server {
    pub(crate) fn start(limits: Limits) -> Self {
        Self::with_context(limits, 16)
    }

    pub(crate) fn with_context(limits: Limits, context: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (held, stopped) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let model = Alphabet {
            card: Card {
                name: "alphabet".to_owned(),
                created: 1,
                step: 3,
                context,
                vocabulary: 257,
                recurrence: 4,
                max_recurrence: 64,
            },
            written: Arc::default(),
            held: Arc::clone(&held),
        };
        let stop = Arc::clone(&stopped);
        let thread = thread::spawn(move || {
            let stopped = || stop.load(Ordering::SeqCst);
            serve(&model, listener, limits, &stopped).expect("the server runs")
        });
        Self {
            address,
            held,
            stopped,
            thread: Some(thread),
        }
    }

    /// With `true`, makes the model wait inside its requests. With `false`, lets it continue.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }

    /// Sets the flag that ends the server.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    pub(crate) fn ended(mut self) -> Served {
        self.stop();
        let thread = self.thread.take().expect("it ends once");
        thread.join().expect("the server ends")
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(self.address)
    }

    /// Posts to `/v1/completions`.
    pub(crate) fn post(&self, body: &Value) -> Answer {
        self.post_text(&body.to_string())
    }

    pub(crate) fn post_text(&self, body: &str) -> Answer {
        let mut client = self.connect();
        client.post(body);
        client.answer()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        let mut client = self.connect();
        client.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        ));
        client.answer()
    }

    /// Waits until `wanted` returns true for the answer of `/health`.
    pub(crate) fn wait_for(&self, wanted: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        while !wanted(&self.get("/health").json()) {
            assert!(begun.elapsed() < Duration::from_mins(2), "it never happens");
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.hold(false);
        self.stop();
    }
}

impl Client {
    /// Closes the connection.
    pub(crate) fn leave(self) {
        self.0
            .shutdown(Shutdown::Both)
            .expect("a connection closes");
    }
}

impl Answer {
    /// Returns the text of the only choice.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        self.choice()["text"].as_str().expect("a text").to_owned()
    }
}

/// Returns a greedy request for three tokens after the prompt `abc`, with additional or other
/// `fields`.
pub(crate) fn asked(fields: Value) -> Value {
    let mut body = json!({"prompt": "abc", "temperature": 0, "max_tokens": 3});
    if let (Value::Object(body), Value::Object(fields)) = (&mut body, fields) {
        body.extend(fields);
    }
    body
}
