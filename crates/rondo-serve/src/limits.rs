//! What no client can exceed.

use std::time::Duration;

/// Numbers of an answer, at most: each token of it counts once, and once more for each of its likeliest tokens.
pub const MOST_NUMBERS: usize = 1 << 20;

/// Likeliest tokens of a position, at most.
pub const MOST_LOGPROBS: usize = 20;

/// Choices for each prompt, at most.
pub const MOST_CHOICES: usize = 16;

/// Texts that end a completion, at most.
pub const MOST_STOPS: usize = 16;

/// Sizes, times and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body: usize,
    /// Requests that wait for the model.
    pub queue: usize,
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send a request's head, then its body, and how long it may leave an answer unread.
    pub patience: Duration,
    /// How long the request in work may go on when the server is asked to end.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            queue: 64,
            connections: 256,
            patience: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }
}
