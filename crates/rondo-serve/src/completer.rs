//! The model interface that the server needs.

use std::ops::ControlFlow;

/// The description of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Its name for clients.
    pub name: String,
    /// The time of loading, in seconds since 1970.
    pub created: u64,
    /// The optimizer step of its weights.
    pub step: u64,
    /// The most tokens that it reads.
    pub context: usize,
    /// All token ids are below this number.
    pub vocabulary: usize,
    /// Iterations per token if a request does not set them.
    pub recurrence: usize,
    /// The most iterations per token.
    pub max_recurrence: usize,
}

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f64,
    /// The number of likeliest tokens that may be drawn; none for all.
    pub top_k: Option<usize>,
    /// The total probability that the drawable tokens must reach; 1 for all.
    pub top_p: f64,
    /// The least probability of a drawable token, as a share of the largest; 0 for all.
    pub min_p: f64,
    /// Makes tokens that occurred before less likely; 1 has no effect.
    pub repetition_penalty: f64,
    /// The seed of the draws.
    pub seed: u64,
}

/// A token with its log-probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likely {
    /// The token.
    pub token: u32,
    /// ln p(token | the tokens before it), at temperature 1 and over the whole vocabulary.
    pub log_p: f64,
}

/// A token at its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// The token.
    pub here: Likely,
    /// The likeliest tokens at this position, the likeliest first; as many as requested.
    pub top: Vec<Likely>,
}

/// The scores of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Its tokens from the second on; the first is not predicted.
    pub prompt: Vec<Position>,
    /// One following token for each requested [`Draw`].
    pub next: Vec<Next>,
}

/// A drawn token.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// The token; log-probabilities only if they were requested.
    pub position: Position,
    /// Whether it ends the text; then it is not part of it.
    pub ends: bool,
}

/// A scoring task.
#[derive(Clone, Copy, Debug)]
pub struct Scoring<'a> {
    /// Prompts; none is empty.
    pub prompts: &'a [Vec<u32>],
    /// Iterations per token.
    pub recurrence: usize,
    /// The number of likeliest tokens to report at each position.
    pub top: usize,
    /// The draws to make after each prompt.
    pub draws: &'a [Draw],
}

/// A generation task.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// The tokens to continue; not empty.
    pub prompt: &'a [u32],
    /// Iterations per token.
    pub recurrence: usize,
    /// The number of likeliest tokens to report at each position; if none, log-probabilities are
    /// not needed.
    pub top: Option<usize>,
    /// How tokens are drawn.
    pub draw: Draw,
    /// The most new tokens.
    pub max_tokens: usize,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request needs something that the model cannot do.
    #[error("{0}")]
    Refused(String),
    /// The model or its device failed.
    #[error("{0}")]
    Model(String),
    /// The client has left.
    #[error("cancelled")]
    Cancelled,
}

/// Decodes tokens to text, piece by piece.
pub trait Reader {
    /// Adds a token and returns the text that can no longer change.
    ///
    /// # Errors
    ///
    /// Where the tokenizer fails.
    fn push(&mut self, token: u32) -> Result<String, Failure>;

    /// Returns the remaining text.
    ///
    /// # Errors
    ///
    /// Where the tokenizer fails.
    fn finish(self: Box<Self>) -> Result<String, Failure>;
}

/// A model, used by one thread at a time.
pub trait Completer {
    /// Returns its description.
    fn card(&self) -> &Card;

    /// Returns the tokens of a prompt, at least one.
    ///
    /// # Errors
    ///
    /// Where there is no tokenizer, or it cannot represent the text.
    fn encode(&self, text: &str) -> Result<Vec<u32>, Failure>;

    /// Returns a decoder for the tokens after `before`.
    fn reader(&self, before: &[u32]) -> Box<dyn Reader + '_>;

    /// Returns the name of a single token: its text if that consists of whole characters, else a
    /// name with its id.
    fn name(&self, token: u32) -> String;

    /// Scores every token of prompts, in their order.
    ///
    /// `go_on` is called between parts of the work.
    ///
    /// # Errors
    ///
    /// Where the device fails, or `go_on` reports that the client has left.
    fn score(
        &self,
        asked: Scoring<'_>,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<Scored>, Failure>;

    /// Generates tokens and passes each to `on_token`, including the one that ends the text;
    /// `on_token` returns whether to continue.
    ///
    /// # Errors
    ///
    /// Where the device or `on_token` fails.
    fn write(
        &self,
        asked: Writing<'_>,
        on_token: &mut dyn FnMut(Next) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure>;
}
