//! The prompts of a request: a text, a list of texts, token ids, or a list of lists of token ids.

use serde_json::Value;

use crate::completer::Card;
use crate::error::ApiError;
use crate::fields::{kind, shown};

/// The prompts of a request, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompts {
    /// Texts, to be encoded by the tokenizer.
    Texts(Vec<String>),
    /// Token ids; no list is empty.
    Tokens(Vec<Vec<u32>>),
}

impl Prompts {
    /// Reads the field `prompt`.
    ///
    /// # Errors
    ///
    /// Where the value has another form or is empty, or a token id is not in the vocabulary.
    pub(crate) fn read(value: Value, card: &Card) -> Result<Self, ApiError> {
        let refuse = |message: &str| Err(ApiError::field("prompt", message));
        let list = match value {
            Value::String(text) => return Ok(Self::Texts(vec![text])),
            Value::Array(list) => list,
            other => {
                return refuse(&format!(
                    "must be a text, a list of texts, token ids or a list of lists of token ids, found {}",
                    kind(&other)
                ));
            }
        };
        match list.first() {
            None => refuse("is an empty list"),
            Some(Value::String(_)) => texts(list).map(Self::Texts),
            Some(Value::Array(_)) => {
                let rows = list.into_iter().enumerate();
                let rows = rows.map(|(place, row)| match row {
                    Value::Array(row) if row.is_empty() => Err(ApiError::field(
                        "prompt",
                        format!("list {place} holds no token"),
                    )),
                    Value::Array(row) => tokens(&row, card),
                    other => Err(mixed(&other)),
                });
                rows.collect::<Result<_, _>>().map(Self::Tokens)
            }
            Some(_) => Ok(Self::Tokens(vec![tokens(&list, card)?])),
        }
    }

    /// Returns the number of prompts.
    pub fn count(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Tokens(rows) => rows.len(),
        }
    }
}

fn texts(list: Vec<Value>) -> Result<Vec<String>, ApiError> {
    let texts = list.into_iter().map(|value| match value {
        Value::String(text) => Ok(text),
        other => Err(mixed(&other)),
    });
    texts.collect()
}

fn tokens(row: &[Value], card: &Card) -> Result<Vec<u32>, ApiError> {
    let token = |(place, value): (usize, &Value)| {
        let known = value.as_u64().filter(|id| (*id as usize) < card.vocabulary);
        known.map(|id| id as u32).ok_or_else(|| {
            ApiError::field(
                "prompt",
                format!(
                    "place {place} of the token ids holds {}; ids are whole numbers below {}",
                    shown(value),
                    card.vocabulary
                ),
            )
        })
    };
    row.iter().enumerate().map(token).collect()
}

fn mixed(other: &Value) -> ApiError {
    ApiError::field(
        "prompt",
        format!(
            "must be texts alone or token ids alone, found {} among them",
            kind(other)
        ),
    )
}
