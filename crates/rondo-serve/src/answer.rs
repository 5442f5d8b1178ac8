//! The JSON objects of answers.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::completer::Card;

/// The lowest log-probability that an answer contains: JSON cannot represent minus infinity.
const LEAST: f64 = -9999.0;

/// Raises a log-probability to at least `LEAST`, so that JSON can represent it.
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
    /// The name of the model.
    pub model: String,
    /// The recurrence depth of every token of the answer.
    pub recurrence: usize,
    /// The completions, one or more for each prompt. In an event: pieces of completions.
    pub choices: Vec<Choice>,
    /// The numbers of tokens, if the answer reports them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// One completion, or a piece of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Choice {
    /// The index of the completion. Completion `c` of prompt `p` has the index `p · n + c`, where
    /// `n` is the number of completions of each prompt.
    pub index: usize,
    /// The text.
    pub text: String,
    /// Log-probabilities, if the request asks for them.
    pub logprobs: Option<Marks>,
    /// Why the completion ended. `None` if more pieces follow.
    pub finish_reason: Option<Finish>,
}

impl Choice {
    /// Appends the next piece.
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
    /// The text reached a stop text, or the model generated the end-of-text token.
    Stop,
    /// The completion has the requested number of tokens.
    Length,
}

/// Log-probabilities of tokens, in parallel lists.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Marks {
    /// For each token, the number of characters of the text before the token.
    pub text_offset: Vec<usize>,
    /// The log-probability of each token. `None` for the first token of a prompt, which is not
    /// predicted.
    pub token_logprobs: Vec<Option<f64>>,
    /// The tokens.
    pub tokens: Vec<String>,
    /// For each token, the likeliest tokens at its position and the token itself. `None` for the
    /// first token of a prompt.
    pub top_logprobs: Vec<Option<Top>>,
}

impl Marks {
    /// Appends the lists of the next piece.
    pub fn extend(&mut self, further: Self) {
        self.text_offset.extend(further.text_offset);
        self.token_logprobs.extend(further.token_logprobs);
        self.tokens.extend(further.tokens);
        self.top_logprobs.extend(further.top_logprobs);
    }
}

/// Tokens with their log-probabilities, the likeliest first. Serialized as a JSON object.
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

/// The numbers of tokens that a request has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Tokens of the prompts.
    pub prompt_tokens: usize,
    /// New tokens, including end-of-text tokens.
    pub completion_tokens: usize,
    /// The sum of prompt tokens and new tokens.
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
    /// Returns a list with the served model as its only entry.
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
