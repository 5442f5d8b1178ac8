//! A request for completions: its fields, their defaults and rules.
//!
//! Names and defaults are those of OpenAI's API; `recurrence`, `top_k`, `min_p` and
//! `repetition_penalty` are additions. A field that would change the answer but is not supported is
//! refused. An unknown field is refused too, because its name may be misspelt.

use serde_json::Value;

use crate::completer::{Card, Draw};
use crate::error::ApiError;
use crate::fields::{Fields, kind, shown};
use crate::limits::{MOST_CHOICES, MOST_LOGPROBS, MOST_NUMBERS, MOST_STOPS};
pub use crate::prompts::Prompts;

/// The number of new tokens for a request that does not set this number.
const DEFAULT_TOKENS: u64 = 16;

/// The fields that have a meaning for this server.
const KNOWN: [&str; 16] = [
    "prompt",
    "recurrence",
    "max_tokens",
    "echo",
    "logprobs",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "seed",
    "stop",
    "n",
    "stream",
    "stream_options",
    "model",
];

/// A parsed request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The prompts.
    pub prompts: Prompts,
    /// Iterations per token.
    pub recurrence: usize,
    /// The maximum number of new tokens. It may be 0 only with `echo`.
    pub max_tokens: usize,
    /// Whether a completion begins with its prompt.
    pub echo: bool,
    /// The number of likeliest tokens to report at each position. `None` if the answer has no
    /// log-probabilities.
    pub logprobs: Option<usize>,
    /// How tokens are drawn, with the seed of the first choice.
    pub draw: Draw,
    /// Stop texts. A completion ends before the first of them.
    pub stops: Vec<String>,
    /// The number of choices for each prompt.
    pub n: usize,
    /// How the answer is sent.
    pub delivery: Delivery,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As one object.
    Whole,
    /// As events, each with a piece of the answer.
    Events {
        /// Whether the last event reports the number of tokens.
        with_usage: bool,
    },
}

impl Request {
    /// Parses a body. `seed` is used for a request that sets no seed.
    ///
    /// # Errors
    ///
    /// Where the body is not JSON, or a field is missing, wrong or unknown.
    pub fn read(body: &[u8], card: &Card, seed: u64) -> Result<Self, ApiError> {
        let mut fields = Fields::parse(body)?;
        let prompt = fields
            .any("prompt")
            .ok_or_else(|| ApiError::field("prompt", "is missing"))?;
        let prompts = Prompts::read(prompt, card)?;
        let echo = fields.flag("echo")?;
        let max_tokens = fields.whole("max_tokens", 0, u64::MAX)?;
        let max_tokens = max_tokens.unwrap_or(DEFAULT_TOKENS);
        if max_tokens == 0 && !echo {
            return Err(ApiError::field(
                "max_tokens",
                "0 new tokens are an answer only with echo: true",
            ));
        }
        let request = Self {
            prompts,
            echo,
            max_tokens: usize::try_from(max_tokens).unwrap_or(usize::MAX),
            recurrence: fields
                .whole("recurrence", 1, card.max_recurrence as u64)?
                .map_or(card.recurrence, |depth| depth as usize),
            logprobs: logprobs(&mut fields)?,
            draw: draw(&mut fields, seed)?,
            stops: stops(fields.any("stop"))?,
            n: fields.whole("n", 1, MOST_CHOICES as u64)?.unwrap_or(1) as usize,
            delivery: delivery(&mut fields)?,
        };
        refuse_what_changes_the_meaning(&mut fields, request.n)?;
        fields.finish(&KNOWN)?;
        Ok(request)
    }

    /// Checks the lengths of the prompts, in tokens.
    ///
    /// The model reads at most `context` tokens. With more than one new token, a prompt and its new
    /// tokens together may have `context` tokens. If an answer has at most one new token, its last
    /// token is never read, so there may be one token more: a prompt may have `context + 1` tokens
    /// if it is only scored, and `context` tokens if one new token follows.
    ///
    /// # Errors
    ///
    /// Where a prompt with its new tokens does not fit in the context, or the answer would contain
    /// too many numbers.
    pub fn check_lengths(&self, prompts: &[Vec<u32>], card: &Card) -> Result<(), ApiError> {
        let room = card.context + usize::from(self.max_tokens <= 1);
        for (place, prompt) in prompts.iter().enumerate() {
            let length = prompt.len();
            if length.saturating_add(self.max_tokens) > room {
                let which = match prompts.len() {
                    1 => "the prompt has".to_owned(),
                    _ => format!("prompt {place} has"),
                };
                return Err(ApiError::too_long(format!(
                    "{which} {length} tokens and max_tokens is {}, {} together; this model's maximum context length is {} \
                     tokens",
                    self.max_tokens,
                    length.saturating_add(self.max_tokens),
                    card.context,
                )));
            }
        }
        let tokens: usize = prompts.iter().map(|row| row.len() + self.max_tokens).sum();
        let numbers = tokens * self.n * (1 + self.logprobs.unwrap_or(0));
        if numbers > MOST_NUMBERS {
            return Err(ApiError::field(
                "prompt",
                format!(
                    "{} prompts, {tokens} tokens with the new ones, {} choices and {} log-probabilities a token come to \
                     {numbers} numbers; an answer has at most {MOST_NUMBERS}",
                    prompts.len(),
                    self.n,
                    1 + self.logprobs.unwrap_or(0),
                ),
            ));
        }
        Ok(())
    }
}

/// Reads how many likeliest tokens the answer reports. Some clients send true for 1, or false for
/// no log-probabilities.
fn logprobs(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
    match fields.any("logprobs") {
        None | Some(Value::Bool(false)) => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(1)),
        Some(value) => match value.as_u64() {
            Some(count) if count <= MOST_LOGPROBS as u64 => Ok(Some(count as usize)),
            _ => Err(ApiError::field(
                "logprobs",
                format!(
                    "must be a whole number from 0 to {MOST_LOGPROBS}, found {}",
                    shown(&value)
                ),
            )),
        },
    }
}

fn draw(fields: &mut Fields, seed: u64) -> Result<Draw, ApiError> {
    let share = |x: f64| (0.0..=1.0).contains(&x);
    Ok(Draw {
        temperature: fields.number("temperature", 1.0, "0 or a positive number", |x| x >= 0.0)?,
        top_p: fields.number("top_p", 1.0, "above 0 and at most 1", |x| {
            x > 0.0 && x <= 1.0
        })?,
        top_k: top_k(fields)?,
        min_p: fields.number("min_p", 0.0, "from 0 to 1", share)?,
        repetition_penalty: fields
            .number("repetition_penalty", 1.0, "a positive number", |x| x > 0.0)?,
        seed: seed_of(fields)?.unwrap_or(seed),
    })
}

/// Reads how many of the likeliest tokens may be drawn. Some clients send 0 or -1 for all tokens.
fn top_k(fields: &mut Fields) -> Result<Option<usize>, ApiError> {
    match fields.any("top_k") {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(0 | -1) => Ok(None),
            Some(count) if count > 0 => Ok(Some(count as usize)),
            _ => Err(ApiError::field(
                "top_k",
                format!("must be a positive whole number, found {}", shown(&value)),
            )),
        },
    }
}

/// Reads the seed, which may be any whole number.
fn seed_of(fields: &mut Fields) -> Result<Option<u64>, ApiError> {
    match fields.any("seed") {
        None => Ok(None),
        Some(value) => {
            let negative = || value.as_i64().map(|seed| seed as u64);
            let seed = value.as_u64().or_else(negative);
            seed.map(Some).ok_or_else(|| {
                ApiError::field(
                    "seed",
                    format!("must be a whole number, found {}", shown(&value)),
                )
            })
        }
    }
}

fn stops(value: Option<Value>) -> Result<Vec<String>, ApiError> {
    let refuse = |message: String| Err(ApiError::field("stop", message));
    let list = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(one) => vec![one],
    };
    if list.len() > MOST_STOPS {
        return refuse(format!("has {} texts; at most {MOST_STOPS}", list.len()));
    }
    let mut stops = Vec::new();
    for value in list {
        match value {
            Value::String(text) if text.is_empty() => {
                return refuse("an empty text would end everything".to_owned());
            }
            Value::String(text) => stops.push(text),
            other => {
                return refuse(format!(
                    "must be a text or a list of texts, found {}",
                    kind(&other)
                ));
            }
        }
    }
    Ok(stops)
}

fn delivery(fields: &mut Fields) -> Result<Delivery, ApiError> {
    let streams = fields.flag("stream")?;
    let options = fields.any("stream_options");
    if !streams {
        return match options {
            None => Ok(Delivery::Whole),
            Some(_) => Err(ApiError::field("stream_options", "is for stream: true")),
        };
    }
    let mut with_usage = false;
    match options {
        None => {}
        Some(Value::Object(options)) => {
            for (name, value) in options {
                match (name.as_str(), value) {
                    ("include_usage", Value::Bool(flag)) => with_usage = flag,
                    ("include_obfuscation", Value::Bool(false)) | (_, Value::Null) => {}
                    (name, value) => {
                        return Err(ApiError::field(
                            "stream_options",
                            format!("{name} cannot be {}", shown(&value)),
                        ));
                    }
                }
            }
        }
        Some(other) => {
            return Err(ApiError::field(
                "stream_options",
                format!("must be an object, found {}", shown(&other)),
            ));
        }
    }
    Ok(Delivery::Events { with_usage })
}

/// Accepts fields that this server does not support, but only with values that have no effect.
fn refuse_what_changes_the_meaning(fields: &mut Fields, n: usize) -> Result<(), ApiError> {
    let is_zero = |value: &Value| value.as_f64().is_some_and(|x| x.abs() < f64::EPSILON);
    for penalty in ["presence_penalty", "frequency_penalty"] {
        fields.idle(penalty, is_zero, "only 0 is known; repetition_penalty is")?;
    }
    let is_empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
    fields.idle("logit_bias", is_empty, "is not known")?;
    let is_no_text = |value: &Value| value.as_str().is_some_and(str::is_empty);
    fields.idle(
        "suffix",
        is_no_text,
        "a text is not filled in, only continued",
    )?;
    let is_n = |value: &Value| value.as_u64() == Some(n as u64);
    fields.idle("best_of", is_n, "choices are not sifted: it must be n")?;
    // The server has one model and does not distinguish users, so these fields are ignored.
    for name in ["model", "user", "metadata", "store", "service_tier"] {
        fields.any(name);
    }
    Ok(())
}
