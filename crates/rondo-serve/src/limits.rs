//! Limits that no client can exceed.

use std::time::Duration;

/// The most numbers in an answer: each token counts once, and once more for each of its likeliest
/// tokens.
pub const MOST_NUMBERS: usize = 1 << 20;

/// The most likeliest tokens per position.
pub const MOST_LOGPROBS: usize = 20;

/// The most choices per prompt.
pub const MOST_CHOICES: usize = 16;

/// The most texts that end a completion.
pub const MOST_STOPS: usize = 16;

/// Limits on sizes, times and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a request's body.
    pub body: usize,
    /// The most requests that wait for the model.
    pub queue: usize,
    /// The most connections at one time; further ones wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send a request's head, then its body, and how long it may
    /// leave an answer unread.
    pub patience: Duration,
    /// How long the current request may continue after the server is asked to end.
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
