//! Reads the fields of a JSON object by name and type. A field with the value null counts as
//! missing.

use serde_json::{Map, Value};

use crate::error::ApiError;

/// The fields of an object that have not been read yet.
#[derive(Debug)]
pub(crate) struct Fields {
    left: Map<String, Value>,
}

impl Fields {
    /// Parses a body as a JSON object.
    ///
    /// # Errors
    ///
    /// Where the body is not JSON, or not a JSON object.
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

    /// Removes the field `name` and returns its value, which may have any type.
    pub(crate) fn any(&mut self, name: &str) -> Option<Value> {
        self.left.remove(name).filter(|value| !value.is_null())
    }

    /// Removes the field `name` and returns its value, a whole number from `least` to `most`.
    ///
    /// # Errors
    ///
    /// Where the value has another type or is out of range.
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

    /// Removes the field `name` and returns its value, a number for which `is_right` returns true.
    /// `rule` describes these numbers in the error message.
    ///
    /// # Errors
    ///
    /// Where the value is not a number, or `is_right` returns false for it.
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

    /// Removes the field `name` and returns its value, a boolean. Returns false if the field is
    /// missing.
    ///
    /// # Errors
    ///
    /// Where the value is not a boolean.
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

    /// Removes the field `name`, which may only have a value without effect.
    ///
    /// # Errors
    ///
    /// Where the value would change the answer. The message contains `why`, the reason why this is
    /// not possible.
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

    /// Refuses the request if a field has not been read.
    ///
    /// # Errors
    ///
    /// Where an unread field remains. The message suggests the most similar name in `known`.
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
