//! Limits that no client can exceed.

use std::time::Duration;

/// The maximum number of numbers in an answer. Each token counts as one number, and as one more for
/// each of the likeliest tokens at its position.
pub const MOST_NUMBERS: usize = 1 << 20;

/// The maximum number of likeliest tokens that a request may ask for at each position.
pub const MOST_LOGPROBS: usize = 20;

/// The maximum number of choices for each prompt.
pub const MOST_CHOICES: usize = 16;

/// The maximum number of stop texts in a request.
pub const MOST_STOPS: usize = 16;

/// Limits on sizes, times and counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of bytes in a request's body.
    pub body: usize,
    /// The maximum number of requests that wait for the model.
    pub queue: usize,
    /// The maximum number of open connections. Further connections wait to be accepted.
    pub connections: usize,
    /// How long a client may take to send the head of a request, and again to send its body. Also
    /// how long a client may leave an answer unread.
    pub patience: Duration,
    /// How long the current request may take once the server is ending.
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
