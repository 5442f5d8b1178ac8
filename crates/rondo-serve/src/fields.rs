//! Reads the values of a JSON object by name and type. A null value counts as missing.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// The fields of an object that have not been read yet.
#[derive(Debug)]
pub(crate) struct Fields {
    left: Map<String, Value>,
}

impl Fields {
    /// Parses the object in a body.
    ///
    /// # Errors
    ///
    /// Where the body is not JSON, or not an object.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(left)) => Ok(Self { left }),
            Ok(other) => Err(ApiError::bad(format!(
                "the body must be a JSON object, found {}",
                kind(&other)
            ))),
            Err(error) => Err(ApiError::bad(format!("the body is not JSON: {error}"))),
        }
    }

    /// Takes a value of any type.
    pub(crate) fn any(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// Takes a whole number from `least` to `most`.
    ///
    /// # Errors
    ///
    /// Where it is of another type or out of range.
    pub(crate) fn whole(
        &mut self,
        name: &str,
        least: u64,
        most: u64,
    ) -> Result<Option<u64>, ApiError> {
        let Some(value) = self.any(name) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ if most == u64::MAX => Err(ApiError::field(
                name,
                format!(
                    "must be a whole number of at least {least}, found {}",
                    shown(&value)
                ),
            )),
            _ => Err(ApiError::field(
                name,
                format!(
                    "must be a whole number from {least} to {most}, found {}",
                    shown(&value)
                ),
            )),
        }
    }

    /// Takes a number for which `is_right` is true; `rule` describes the valid numbers.
    ///
    /// # Errors
    ///
    /// Where it is of another type or invalid.
    pub(crate) fn number(
        &mut self,
        name: &str,
        default: f64,
        rule: &str,
        is_right: impl Fn(f64) -> bool,
    ) -> Result<f64, ApiError> {
        let Some(value) = self.any(name) else {
            return Ok(default);
        };
        value
            .as_f64()
            .filter(|number| is_right(*number))
            .ok_or_else(|| {
                ApiError::field(name, format!("must be {rule}, found {}", shown(&value)))
            })
    }

    /// Takes a boolean; false if it is missing.
    ///
    /// # Errors
    ///
    /// Where it is of another type.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, ApiError> {
        match self.any(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(ApiError::field(
                name,
                format!("must be true or false, found {}", shown(&other)),
            )),
        }
    }

    /// Takes a field that is only accepted with a value that has no effect.
    ///
    /// # Errors
    ///
    /// Where the value would change the answer; the error says `why` that is not possible.
    pub(crate) fn idle(
        &mut self,
        name: &str,
        is_idle: impl Fn(&Value) -> bool,
        why: &str,
    ) -> Result<(), ApiError> {
        match self.any(name) {
            Some(value) if !is_idle(&value) => Err(ApiError::field(
                name,
                format!("{why}, found {}", shown(&value)),
            )),
            _ => Ok(()),
        }
    }

    /// Finishes: refuses fields that were not read.
    ///
    /// # Errors
    ///
    /// Where a field is left; the error suggests the nearest name in `known`.
    pub(crate) fn finish(self, known: &[&str]) -> Result<(), ApiError> {
        let Some(name) = self.left.into_iter().find(|(_, value)| !value.is_null()) else {
            return Ok(());
        };
        let name = name.0;
        let near = known
            .iter()
            .map(|candidate| (strsim::damerau_levenshtein(&name, candidate), candidate))
            .min()
            .filter(|(distance, _)| *distance <= 2);
        let hint = match near {
            Some((_, near)) => format!("; did you mean `{near}`?"),
            None => format!("; there are {}", known.join(", ")),
        };
        let short: String = name.chars().take(40).collect();
        Err(ApiError {
            param: Some(short.clone()),
            ..ApiError::bad(format!("no field is called `{short}`{hint}"))
        })
    }
}

/// Returns the type of a value as a word.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Returns a value for an error message: the value itself if it is short, else its type.
pub(crate) fn shown(value: &Value) -> String {
    let text = match value {
        Value::Array(_) | Value::Object(_) => return kind(value).to_owned(),
        other => other.to_string(),
    };
    match text.chars().count() {
        0..=40 => text,
        _ => kind(value).to_owned(),
    }
}
