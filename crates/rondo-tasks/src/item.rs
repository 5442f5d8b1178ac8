//! An item of a task: a question and its right answer.
//!
//! | kind | keys of the item's line |
//! |---|---|
//! | multiple choice | `query`, `choices`, `gold` |
//! | schema | `context_options`, `continuation`, `gold` |
//! | language modelling | `context`, `continuation` |
//! | generation | `context`, `answer`, and `aliases` if other answers are right too |
//! | text | `text` |
//!
//! The first three kinds have the form of the CORE evaluation (DCLM, nanochat), and generation has
//! the form of llm-foundry. `gold` counts from 0. Other keys are kept as fields, by which items can
//! be grouped into strata.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The kind of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One context, several continuations.
    MultipleChoice,
    /// Several contexts, one continuation.
    Schema,
    /// One context, one continuation.
    LanguageModeling,
    /// One context, after which the answer is generated.
    Generation,
    /// A text of which every token is predicted.
    Text,
}

impl Kind {
    /// Returns the name of the kind in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::MultipleChoice => "multiple choice",
            Self::Schema => "schema",
            Self::LanguageModeling => "language modelling",
            Self::Generation => "generation",
            Self::Text => "text",
        }
    }
}

/// The question of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which continuation of `query` is the likeliest?
    MultipleChoice {
        /// The text before each continuation.
        query: String,
        /// The continuations.
        choices: Vec<String>,
        /// The number of the right continuation, counted from 0.
        gold: usize,
    },
    /// After which context is `continuation` the likeliest?
    Schema {
        /// The contexts.
        contexts: Vec<String>,
        /// The text after each context.
        continuation: String,
        /// The number of the right context, counted from 0.
        gold: usize,
    },
    /// How likely is `continuation`, and is it the text that the model itself would write?
    LanguageModeling {
        /// The text before the continuation.
        context: String,
        /// The text to be scored.
        continuation: String,
    },
    /// What does the model write after `context`?
    Generation {
        /// The text before the answer.
        context: String,
        /// The right answers; the value of the key `answer` comes first.
        answers: Vec<String>,
    },
    /// How likely is the whole `text`?
    Text {
        /// The text.
        text: String,
    },
}

impl Question {
    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::MultipleChoice { .. } => Kind::MultipleChoice,
            Self::Schema { .. } => Kind::Schema,
            Self::LanguageModeling { .. } => Kind::LanguageModeling,
            Self::Generation { .. } => Kind::Generation,
            Self::Text { .. } => Kind::Text,
        }
    }
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The item's line in the file, counted from 1.
    pub line: usize,
    /// The question.
    pub question: Question,
    /// The other strings, numbers and booleans of the line, as text.
    pub fields: BTreeMap<String, String>,
}

impl Item {
    /// Reads an item from the JSON object of a line.
    ///
    /// # Errors
    ///
    /// A description of the key that is missing, empty, out of range or of the wrong type.
    pub fn read(line: usize, object: &Map<String, Value>) -> Result<Self, String> {
        let question = question(object)?;
        let fields = object
            .iter()
            .filter(|(key, _)| !KEYS.contains(&key.as_str()))
            .filter_map(|(key, value)| Some((key.clone(), plain(value)?)))
            .collect();
        Ok(Self {
            line,
            question,
            fields,
        })
    }
}

/// The keys that questions use.
const KEYS: [&str; 9] = [
    "query",
    "choices",
    "gold",
    "context_options",
    "continuation",
    "context",
    "answer",
    "aliases",
    "text",
];

/// The kinds and their keys, for error messages.
const KNOWN: &str = "query, choices, gold (multiple choice); context_options, continuation, gold (schema); context, \
                     continuation (language modelling); context, answer (generation); text";

/// Returns a string, a number or a boolean as text; `None` for any other value.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn question(object: &Map<String, Value>) -> Result<Question, String> {
    let has = |key: &str| object.contains_key(key);
    if has("choices") || has("query") {
        let choices = texts(object, "choices", 2)?;
        return Ok(Question::MultipleChoice {
            query: text(object, "query", Empty::Allowed)?,
            gold: gold(object, "choices", choices.len())?,
            choices,
        });
    }
    if has("context_options") {
        let contexts = texts(object, "context_options", 2)?;
        return Ok(Question::Schema {
            continuation: text(object, "continuation", Empty::Refused)?,
            gold: gold(object, "context_options", contexts.len())?,
            contexts,
        });
    }
    if has("continuation") {
        return Ok(Question::LanguageModeling {
            context: text(object, "context", Empty::Allowed)?,
            continuation: text(object, "continuation", Empty::Refused)?,
        });
    }
    if has("answer") {
        let mut answers = vec![text(object, "answer", Empty::Refused)?];
        if has("aliases") {
            answers.extend(texts(object, "aliases", 0)?);
        }
        return Ok(Question::Generation {
            context: text(object, "context", Empty::Allowed)?,
            answers,
        });
    }
    if has("text") {
        return Ok(Question::Text {
            text: text(object, "text", Empty::Refused)?,
        });
    }
    let found: Vec<&str> = object.keys().map(String::as_str).collect();
    Err(match found.as_slice() {
        [] => "an item without keys".to_owned(),
        keys => format!(
            "of no known kind: its keys are {}; known are {KNOWN}",
            keys.join(", ")
        ),
    })
}

/// Returns the message about a missing key, with the keys of the item.
fn missing(object: &Map<String, Value>, key: &str) -> String {
    let found: Vec<&str> = object.keys().map(String::as_str).collect();
    format!("`{key}` is missing; its keys are {}", found.join(", "))
}

/// Whether a text may be empty.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    Allowed,
    Refused,
}

fn text(object: &Map<String, Value>, key: &str, empty: Empty) -> Result<String, String> {
    match object.get(key) {
        None => Err(missing(object, key)),
        Some(Value::String(text)) if text.is_empty() && empty == Empty::Refused => {
            Err(format!("`{key}` is empty"))
        }
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("`{key}` must be a text, found {other}")),
    }
}

fn texts(object: &Map<String, Value>, key: &str, least: usize) -> Result<Vec<String>, String> {
    let values = match object.get(key) {
        None => return Err(missing(object, key)),
        Some(Value::Array(values)) => values,
        Some(other) => return Err(format!("`{key}` must be a list of texts, found {other}")),
    };
    if values.len() < least {
        return Err(format!(
            "`{key}` needs at least {least} texts, found {}",
            values.len()
        ));
    }
    let one = |(number, value): (usize, &Value)| match value {
        Value::String(text) if text.is_empty() => Err(format!("`{key}` {number} is empty")),
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("`{key}` {number} must be a text, found {other}")),
    };
    values.iter().enumerate().map(one).collect()
}

fn gold(object: &Map<String, Value>, of: &str, count: usize) -> Result<usize, String> {
    let value = object
        .get("gold")
        .ok_or("`gold` is missing: the number of the right answer, from 0")?;
    let known = value.as_u64().filter(|gold| (*gold as usize) < count);
    known.map(|gold| gold as usize).ok_or_else(|| {
        format!(
            "`gold` must be a number from 0 to {}, one of `{of}`; found {value}",
            count - 1
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Item, String> {
        let object = serde_json::from_str(json).expect("an object");
        Item::read(1, &object)
    }

    #[test]
    fn the_keys_decide_the_kind_and_other_keys_are_fields() {
        let item =
            read(r#"{"query":"q","choices":["a","b"],"gold":1,"hops":3,"area":"maths","x":[]}"#);
        let item = item.expect("an item");
        assert_eq!(item.question.kind(), Kind::MultipleChoice);
        let fields: Vec<_> = item
            .fields
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(fields, [("area", "maths"), ("hops", "3")]);
        for (json, kind) in [
            (
                r#"{"context_options":["a","b"],"continuation":"c","gold":0}"#,
                Kind::Schema,
            ),
            (
                r#"{"context":"","continuation":"c"}"#,
                Kind::LanguageModeling,
            ),
            (
                r#"{"context":"c","answer":"4","aliases":["four"]}"#,
                Kind::Generation,
            ),
            (r#"{"text":"t"}"#, Kind::Text),
        ] {
            assert_eq!(read(json).expect(json).question.kind(), kind);
        }
    }

    #[test]
    fn what_is_wrong_with_an_item_is_said() {
        for (json, expected) in [
            ("{}", "without keys"),
            (
                r#"{"question":"q"}"#,
                "of no known kind: its keys are question",
            ),
            (r#"{"query":"q","choices":["a","b"]}"#, "`gold` is missing"),
            (
                r#"{"query":"q","choices":["a","b"],"gold":2}"#,
                "from 0 to 1, one of `choices`; found 2",
            ),
            (r#"{"query":"q","choices":["a","b"],"gold":-1}"#, "found -1"),
            (
                r#"{"query":"q","choices":["a","b"],"gold":"a"}"#,
                "found \"a\"",
            ),
            (
                r#"{"query":"q","choices":["a"],"gold":0}"#,
                "at least 2 texts, found 1",
            ),
            (
                r#"{"query":"q","choices":["a",""],"gold":0}"#,
                "`choices` 1 is empty",
            ),
            (
                r#"{"query":"q"}"#,
                "`choices` is missing; its keys are query",
            ),
            (
                r#"{"question":"q","choices":["a","b"],"answer":0}"#,
                "`query` is missing; its keys are answer, choices, question",
            ),
            (r#"{"choices":["a","b"],"gold":0}"#, "`query` is missing"),
            (
                r#"{"query":1,"choices":["a","b"],"gold":0}"#,
                "`query` must be a text, found 1",
            ),
            (
                r#"{"context_options":"ab","gold":0}"#,
                "must be a list of texts",
            ),
            (
                r#"{"context":"c","continuation":""}"#,
                "`continuation` is empty",
            ),
            (r#"{"context":"c","answer":""}"#, "`answer` is empty"),
            (r#"{"text":""}"#, "`text` is empty"),
        ] {
            let message = read(json).expect_err(json);
            assert!(message.contains(expected), "{json}: {message}");
        }
    }
}
