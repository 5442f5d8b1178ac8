//! The JSON objects of answers.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::completer::Card;

/// The lower bound of log-probabilities in answers, because JSON has no infinity.
const LEAST: f64 = -9999.0;

/// Returns a log-probability that JSON can hold.
pub(crate) fn finite(log_p: f64) -> f64 {
    log_p.max(LEAST)
}

/// An answer, or a piece of one.
#[derive(Clone, Debug, Serialize)]
pub struct Completion {
    /// The id of this answer.
    pub id: String,
    /// Always `text_completion`.
    pub object: &'static str,
    /// The time, in seconds since 1970.
    pub created: u64,
    /// The model.
    pub model: String,
    /// The depth at which the whole answer was computed.
    pub recurrence: usize,
    /// One or more for each prompt, or pieces of them.
    pub choices: Vec<Choice>,
    /// The number of tokens, if it is reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One completion, or a piece of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Choice {
    /// Its index: that of its prompt times n, plus its own.
    pub index: usize,
    /// The text.
    pub text: String,
    /// Log-probabilities, if they were requested.
    pub logprobs: Option<Marks>,
    /// Why it ended; none while it continues.
    pub finish_reason: Option<Finish>,
}

impl Choice {
    /// Appends the piece that follows.
    pub(crate) fn extend(&mut self, further: Self) {
        self.text.push_str(&further.text);
        match (&mut self.logprobs, further.logprobs) {
            (Some(marks), Some(further)) => marks.extend(further),
            (marks, further) => *marks = marks.take().or(further),
        }
        self.finish_reason = further.finish_reason;
    }
}

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// A stop text or the end-of-text token came.
    Stop,
    /// The requested number of tokens was reached.
    Length,
}

/// Log-probabilities of tokens, in parallel lists.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Marks {
    /// Characters of the text before each token.
    pub text_offset: Vec<usize>,
    /// The log-probability of each token; none for the first token of a prompt.
    pub token_logprobs: Vec<Option<f64>>,
    /// The tokens.
    pub tokens: Vec<String>,
    /// The likeliest tokens at each position, and the token itself; none at the first position of a
    /// prompt.
    pub top_logprobs: Vec<Option<Top>>,
}

impl Marks {
    /// Appends the marks that follow.
    pub fn extend(&mut self, further: Self) {
        self.text_offset.extend(further.text_offset);
        self.token_logprobs.extend(further.token_logprobs);
        self.tokens.extend(further.tokens);
        self.top_logprobs.extend(further.top_logprobs);
    }
}

/// Tokens with their log-probabilities, the likeliest first; an object in JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Top(pub Vec<(String, f64)>);

impl Serialize for Top {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (token, log_p) in &self.0 {
            map.serialize_entry(token, log_p)?;
        }
        map.end()
    }
}

/// The numbers of tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of its prompts.
    pub prompt_tokens: usize,
    /// New tokens, including those that ended a text.
    pub completion_tokens: usize,
    /// The sum of both.
    pub total_tokens: usize,
}

/// The list of served models.
#[derive(Clone, Debug, Serialize)]
pub struct Models<'a> {
    object: &'static str,
    data: [Model<'a>; 1],
}

/// A model in the list of models.
#[derive(Clone, Debug, Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    max_model_len: usize,
    vocabulary: usize,
    step: u64,
    recurrence: usize,
    max_recurrence: usize,
}

impl<'a> Models<'a> {
    /// Returns the list with the one model.
    pub fn of(card: &'a Card) -> Self {
        Self {
            object: "list",
            data: [Model {
                id: &card.name,
                object: "model",
                created: card.created,
                owned_by: "rondo",
                max_model_len: card.context,
                vocabulary: card.vocabulary,
                step: card.step,
                recurrence: card.recurrence,
                max_recurrence: card.max_recurrence,
            }],
        }
    }
}
