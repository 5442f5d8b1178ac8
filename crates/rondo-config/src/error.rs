//! A reading error that keeps what `serde` knows, instead of a sentence.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::value::Value;

/// The names that a derived reader is given to choose from.
pub(crate) type Names = &'static [&'static str];

/// What went wrong while a value was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    UnknownKey {
        name: String,
        expected: Names,
    },
    UnknownVariant {
        name: String,
        expected: Names,
    },
    Missing {
        name: String,
    },
    WrongType {
        found: String,
        expected: String,
    },
    WrongLength {
        length: usize,
        expected: String,
    },
    /// A stand-in was read by a type that does not say what it is.
    NeedsType,
    Custom(String),
}

/// A fault and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadError {
    pub(crate) fault: Fault,
    /// The keys from the fault to the root: each table adds its own as the error passes.
    outward: Vec<String>,
    /// Whether `serde` had copied the table at the end of the path into a buffer of its own, as it
    /// does for internally tagged enums. The fault is then somewhere below that table.
    pub(crate) buffered: bool,
}

impl ReadError {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            outward: Vec::new(),
            buffered: false,
        }
    }

    /// Says that the error passes through the value under `key`.
    pub(crate) fn under(mut self, key: &str) -> Self {
        self.outward.push(key.to_owned());
        self
    }

    /// Says that the error leaves a buffered value; it is lost in it when no key was named yet.
    pub(crate) fn out_of_buffer(mut self) -> Self {
        self.buffered |= self.outward.is_empty();
        self
    }

    /// Returns the keys from the root to the fault.
    pub(crate) fn path(&self) -> Vec<String> {
        self.outward.iter().rev().cloned().collect()
    }
}

impl Fault {
    /// Tells whether the value under `key` could be the one at fault.
    pub(crate) fn suspects(&self, key: Option<&String>, value: &Value) -> bool {
        match (self, value) {
            (Self::UnknownKey { name, .. }, _) => key == Some(name),
            (Self::UnknownVariant { name, .. }, Value::String(text)) => text == name,
            (Self::Missing { name }, Value::Table(table)) => table
                .get(name)
                .is_none_or(|node| matches!(node.value, Value::Absent)),
            (Self::WrongType { found, .. }, _) => value.describe() == *found,
            (Self::WrongLength { length, .. }, Value::Array(nodes)) => nodes.len() == *length,
            _ => false,
        }
    }

    /// Tells whether a whole number was wanted.
    pub(crate) fn wants_whole_number(&self) -> bool {
        match self {
            Self::WrongType { expected, .. } => whole_number(expected).is_some(),
            _ => false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey { .. } => out.write_str("unknown key"),
            Self::UnknownVariant { name, expected } => {
                let name = Value::String(name.clone());
                write!(
                    out,
                    "unknown variant {name} (one of {})",
                    expected.join(", ")
                )
            }
            Self::Missing { .. } => out.write_str("a value is required"),
            Self::WrongType { found, expected } => {
                write!(out, "expected {}, found {found}", plain(expected))
            }
            Self::WrongLength { length, expected } => {
                write!(out, "expected {}, found {length} values", plain(expected))
            }
            Self::NeedsType => out.write_str("the type of this value is not known"),
            Self::Custom(message) => out.write_str(message),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(out)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Fault::Custom(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Fault::WrongType {
            found: describe(found),
            expected: expected.to_string(),
        })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(Fault::WrongLength {
            length,
            expected: expected.to_string(),
        })
    }

    fn unknown_variant(name: &str, expected: Names) -> Self {
        Self::new(Fault::UnknownVariant {
            name: name.to_owned(),
            expected,
        })
    }

    fn unknown_field(name: &str, expected: Names) -> Self {
        Self::new(Fault::UnknownKey {
            name: name.to_owned(),
            expected,
        })
    }

    fn missing_field(name: &'static str) -> Self {
        Self::new(Fault::Missing {
            name: name.to_owned(),
        })
    }
}

/// Describes a found value in the words of [`Value::describe`].
fn describe(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(truth) => Value::Boolean(truth).describe(),
        Unexpected::Unsigned(number) => Value::Integer(number.into()).describe(),
        Unexpected::Signed(number) => Value::Integer(number.into()).describe(),
        Unexpected::Float(number) => Value::Float(number).describe(),
        Unexpected::Str(text) => Value::String(text.to_owned()).describe(),
        Unexpected::Seq => Value::Array(Vec::new()).describe(),
        Unexpected::Map => Value::Table(crate::value::Table::new()).describe(),
        Unexpected::Other(words) => words.to_owned(),
        other => other.to_string(),
    }
}

/// Puts what a reader says it expects into words for someone who does not know Rust.
fn plain(expected: &str) -> String {
    if let Some(words) = whole_number(expected) {
        return words;
    }
    match expected.split_once(' ') {
        None if matches!(expected, "f32" | "f64") => "a number".to_owned(),
        Some(("a", "boolean")) => "true or false".to_owned(),
        Some(("a", "sequence")) => "an array".to_owned(),
        Some(("a", "map") | ("struct" | "variant" | "internally", _)) => "a table".to_owned(),
        _ => expected.to_owned(),
    }
}

/// Names the whole numbers of a primitive type.
fn whole_number(primitive: &str) -> Option<String> {
    Some(match primitive {
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "usize" | "u128" => "a positive whole number".to_owned(),
        "i8" => format!("a whole number from {} to {}", i8::MIN, i8::MAX),
        "i16" => format!("a whole number from {} to {}", i16::MIN, i16::MAX),
        "i32" => format!("a whole number from {} to {}", i32::MIN, i32::MAX),
        "i64" | "isize" | "i128" => "a whole number".to_owned(),
        _ => return None,
    })
}
