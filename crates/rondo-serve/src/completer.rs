//! A model as the server needs it.

use std::ops::ControlFlow;

/// What is told of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// What clients call it.
    pub name: String,
    /// When it was loaded, in seconds since 1970.
    pub created: u64,
    /// The optimizer step of its weights.
    pub step: u64,
    /// Tokens that it reads at most.
    pub context: usize,
    /// Token ids are below it.
    pub vocabulary: usize,
    /// Iterations per token where a request does not say how many.
    pub recurrence: usize,
    /// Iterations per token, at most.
    pub max_recurrence: usize,
}

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f64,
    /// How many of the likeliest tokens may be drawn; none for all.
    pub top_k: Option<usize>,
    /// Probability that the tokens which may be drawn must reach together; 1 for all.
    pub top_p: f64,
    /// Least share of the largest probability; 0 for all.
    pub min_p: f64,
    /// Makes tokens that were there less likely; 1 changes nothing.
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

/// A token where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// The token.
    pub here: Likely,
    /// The likeliest tokens of this position, the likeliest first; as many as were asked for.
    pub top: Vec<Likely>,
}

/// What is found of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Its tokens from the second one on: nothing predicts the first.
    pub prompt: Vec<Position>,
    /// A token that follows it, for each [`Draw`] that was asked for.
    pub next: Vec<Next>,
}

/// A token that was drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// The token; log-probabilities only where they were asked for.
    pub position: Position,
    /// Whether it ends a text, and is no part of it.
    pub ends: bool,
}

/// What to score.
#[derive(Clone, Copy, Debug)]
pub struct Scoring<'a> {
    /// Prompts; none is empty.
    pub prompts: &'a [Vec<u32>],
    /// Iterations per token.
    pub recurrence: usize,
    /// How many of the likeliest tokens are wanted at each position.
    pub top: usize,
    /// Tokens to draw after each prompt.
    pub draws: &'a [Draw],
}

/// What to write.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// The tokens to go on from; not empty.
    pub prompt: &'a [u32],
    /// Iterations per token.
    pub recurrence: usize,
    /// How many of the likeliest tokens are wanted at each position; where none, log-probabilities are not wanted.
    pub top: Option<usize>,
    /// How tokens are drawn.
    pub draw: Draw,
    /// New tokens, at most.
    pub max_tokens: usize,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The request asks for what the model cannot do.
    #[error("{0}")]
    Refused(String),
    /// The model or its device failed.
    #[error("{0}")]
    Model(String),
    /// Nobody wants the answer any more.
    #[error("cancelled")]
    Cancelled,
}

/// Tokens as text, piece by piece.
pub trait Reader {
    /// Takes in a token and returns the text that is certain now.
    ///
    /// # Errors
    ///
    /// Where the tokenizer fails.
    fn push(&mut self, token: u32) -> Result<String, Failure>;

    /// Returns what is left.
    ///
    /// # Errors
    ///
    /// Where the tokenizer fails.
    fn finish(self: Box<Self>) -> Result<String, Failure>;
}

/// A model, used by one thread at a time.
pub trait Completer {
    /// Returns what is told of it.
    fn card(&self) -> &Card;

    /// Returns the tokens of a prompt, at least one.
    ///
    /// # Errors
    ///
    /// Where there is no tokenizer, or it cannot represent the text.
    fn encode(&self, text: &str) -> Result<Vec<u32>, Failure>;

    /// Returns what turns the tokens after `before` into text.
    fn reader(&self, before: &[u32]) -> Box<dyn Reader + '_>;

    /// Returns what a token is called by itself: its text where that is whole characters, else a name with its id.
    fn name(&self, token: u32) -> String;

    /// Scores every token of prompts, in their order.
    ///
    /// `go_on` is asked between parts of the work.
    ///
    /// # Errors
    ///
    /// Where the device fails, or `go_on` says that nobody waits.
    fn score(
        &self,
        asked: Scoring<'_>,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<Scored>, Failure>;

    /// Writes tokens, handing over each as it comes, the one that ends the text too; the callee says whether another is wanted.
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
