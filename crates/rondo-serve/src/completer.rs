//! The model interface that the server needs.

use std::ops::ControlFlow;

/// The description of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The model's name in answers.
    pub name: String,
    /// When the model was loaded, in seconds since 1970.
    pub created: u64,
    /// The optimizer step of the weights.
    pub step: u64,
    /// The maximum number of tokens that the model reads.
    pub context: usize,
    /// All token ids are below this number.
    pub vocabulary: usize,
    /// The number of iterations per token for a request that does not set this number.
    pub recurrence: usize,
    /// The maximum number of iterations per token.
    pub max_recurrence: usize,
}

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// The divisor of the logits. At 0 the likeliest token is always chosen.
    pub temperature: f64,
    /// How many of the likeliest tokens may be drawn. `None` allows every token.
    pub top_k: Option<usize>,
    /// Only the likeliest tokens whose probabilities together reach this number may be drawn. 1
    /// allows every token.
    pub top_p: f64,
    /// Only tokens with at least this share of the largest probability may be drawn. 0 allows every
    /// token.
    pub min_p: f64,
    /// The factor that makes tokens that have occurred before less likely. 1 has no effect.
    pub repetition_penalty: f64,
    /// The seed of the random draws.
    pub seed: u64,
}

/// A token with its log-probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Likely {
    /// The token.
    pub token: u32,
    /// ln p(token | all earlier tokens), at temperature 1 and over the whole vocabulary.
    pub log_p: f64,
}

/// A token of a text, with the likeliest tokens at its position.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// The token that the text has at this position.
    pub here: Likely,
    /// The likeliest tokens at this position, the likeliest first. Their number is set by the
    /// request.
    pub top: Vec<Likely>,
}

/// The scores of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// The prompt's tokens from the second one on. The first token is not predicted.
    pub prompt: Vec<Position>,
    /// One new token after the prompt for each requested [`Draw`].
    pub next: Vec<Next>,
}

/// A drawn token.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    /// The drawn token. Its log-probabilities are valid only if the request asks for them.
    pub position: Position,
    /// Whether this token ends the text. Such a token is not part of the text.
    pub ends: bool,
}

/// A scoring task.
#[derive(Clone, Copy, Debug)]
pub struct Scoring<'a> {
    /// The prompts. Each has at least one token.
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
    /// The tokens to continue. There is at least one.
    pub prompt: &'a [u32],
    /// Iterations per token.
    pub recurrence: usize,
    /// The number of likeliest tokens to report at each position. `None` if no log-probabilities
    /// are needed.
    pub top: Option<usize>,
    /// How tokens are drawn.
    pub draw: Draw,
    /// The maximum number of new tokens.
    pub max_tokens: usize,
}

/// Why a task has no result.
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
    /// Adds a token. Returns the new part of the text that later tokens cannot change.
    ///
    /// # Errors
    ///
    /// Where the tokenizer fails.
    fn push(&mut self, token: u32) -> Result<String, Failure>;

    /// Returns the rest of the text after the last token.
    ///
    /// # Errors
    ///
    /// Where the tokenizer fails.
    fn finish(self: Box<Self>) -> Result<String, Failure>;
}

/// A model, used by one thread at a time.
pub trait Completer {
    /// Returns the description of the model.
    fn card(&self) -> &Card;

    /// Returns the tokens of a text; at least one.
    ///
    /// # Errors
    ///
    /// Where there is no tokenizer, or the tokenizer cannot represent the text.
    fn encode(&self, text: &str) -> Result<Vec<u32>, Failure>;

    /// Returns a decoder for tokens that follow the tokens `before`.
    fn reader(&self, before: &[u32]) -> Box<dyn Reader + '_>;

    /// Returns the name of a token. The name is the token's text if this text consists of whole
    /// characters, else a name that contains the token's id.
    fn name(&self, token: u32) -> String;

    /// Scores every token of each prompt. Returns the scores in the order of the prompts.
    ///
    /// `go_on` is called between parts of the work.
    ///
    /// # Errors
    ///
    /// Where the device fails, or `go_on` returns [`ControlFlow::Break`] because the client has
    /// left.
    fn score(
        &self,
        asked: Scoring<'_>,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Vec<Scored>, Failure>;

    /// Generates tokens and passes each one to `on_token`, which decides whether to continue. The
    /// token that ends the text is passed too.
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
