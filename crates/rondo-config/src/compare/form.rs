//! The form of value that a schema describes. Only schemas that `schemars` generates from
//! configuration types are supported.

use serde_json::Value as Json;

use crate::value::Value;

/// The form of a value.
pub(crate) enum Form<'s> {
    /// Every value that both TOML and a configuration can hold.
    Any,
    /// One of several forms. Messages show the title, or the list of forms if there is no title.
    Choice {
        title: Option<&'s str>,
        forms: Vec<Form<'s>>,
    },
    /// One of the listed strings.
    Word(Vec<&'s str>),
    /// A table whose `kind` selects the schema that describes it.
    Variant(&'s [Json]),
    /// A table that this schema describes.
    Table(&'s Json),
    /// An array that this schema describes.
    Array(&'s Json),
    Text,
    Truth,
    Number,
    /// A whole number of a Rust type, given by the name that `schemars` uses for the type.
    WholeNumber(&'s str),
}

impl<'s> Form<'s> {
    /// Returns the form of `schema`; its references are looked up in `root`.
    pub(crate) fn of(schema: &'s Json, root: &'s Json) -> Self {
        let schema = resolve(schema, root);
        if let Some(choices) = schema["anyOf"].as_array() {
            return Self::Choice {
                title: schema["title"].as_str(),
                forms: choices.iter().map(|form| Self::of(form, root)).collect(),
            };
        }
        if let Some(words) = words(schema) {
            return Self::Word(words);
        }
        if let Some(variants) = schema["oneOf"].as_array() {
            return Self::Variant(variants);
        }
        match schema["type"].as_str() {
            Some("object") => Self::Table(schema),
            Some("array") => Self::Array(schema),
            Some("string") => Self::Text,
            Some("boolean") => Self::Truth,
            Some("number") => Self::Number,
            Some("integer") => Self::WholeNumber(schema["format"].as_str().unwrap_or_default()),
            _ => Self::Any,
        }
    }

    /// Whether the type of a value fits this form.
    pub(super) fn takes(&self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::Unreadable(_)) => false,
            (Self::Any, _)
            | (Self::Word(_) | Self::Text, Value::String(_))
            | (Self::Variant(_) | Self::Table(_), Value::Table(_))
            | (Self::Array(_), Value::Array(_))
            | (Self::Truth, Value::Boolean(_))
            | (Self::Number, Value::Integer(_) | Value::Float(_)) => true,
            (Self::Choice { forms, .. }, value) => forms.iter().any(|form| form.takes(value)),
            (Self::WholeNumber(format), Value::Integer(number)) => {
                let (low, high) = bounds(format);
                (low..=high).contains(number)
            }
            _ => false,
        }
    }

    /// Describes the form in a message.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Any => "a string, a number, true or false, an array or a table".to_owned(),
            Self::Choice {
                title: Some(title), ..
            } => (*title).to_owned(),
            Self::Choice { title: None, forms } => {
                let forms: Vec<String> = forms.iter().map(Self::describe).collect();
                forms.join(" or ")
            }
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Variant(_) | Self::Table(_) => "a table".to_owned(),
            Self::Array(_) => "an array".to_owned(),
            Self::Text => "a string".to_owned(),
            Self::Truth => "true or false".to_owned(),
            Self::Number => "a number".to_owned(),
            Self::WholeNumber(format) => match bounds(format) {
                (0, high) if high >= u64::MAX.into() => "a positive whole number".to_owned(),
                (low, _) if low <= i64::MIN.into() => "a whole number".to_owned(),
                (low, high) => format!("a whole number from {low} to {high}"),
            },
        }
    }
}

/// Returns the target of a schema that is a reference; otherwise the schema itself.
pub(crate) fn resolve<'s>(schema: &'s Json, root: &'s Json) -> &'s Json {
    let target = schema["$ref"]
        .as_str()
        .and_then(|reference| root.pointer(reference.strip_prefix('#')?));
    target.unwrap_or(schema)
}

/// Returns the strings that a schema allows; `None` if it allows other values too.
fn words(schema: &Json) -> Option<Vec<&str>> {
    if let Some(word) = schema["const"].as_str() {
        return Some(vec![word]);
    }
    if let Some(listed) = schema["enum"].as_array() {
        return listed.iter().map(Json::as_str).collect();
    }
    let choices = schema["oneOf"].as_array()?.iter().map(words);
    Some(choices.collect::<Option<Vec<_>>>()?.concat())
}

/// Returns the smallest and the largest whole number of a type.
fn bounds(format: &str) -> (i128, i128) {
    match format {
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        "uint" | "uint64" | "uint128" => (0, u64::MAX.into()),
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}
