//! Converts the tree to a value of a type.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use serde_path_to_error::Segment;
use toml::de::ValueDeserializer;

use crate::compare::compare;
use crate::document::Document;
use crate::path;
use crate::report::Report;
use crate::schema::schema;
use crate::value::Value;
use crate::violation::Violations;

/// Checks a value by its own rules, and reports the dotted key and the message of each problem.
pub type Check<'a, T> = &'a dyn Fn(&T, Report<'_>);

impl Document {
    /// Reads the document, with its overrides, as a `T`.
    ///
    /// # Errors
    /// Returns all violations at once: refused overrides, unknown keys and variants, wrong types,
    /// numbers out of range, and missing required keys.
    pub fn read<T: DeserializeOwned + JsonSchema>(&self) -> Result<T, Violations> {
        self.read_checked(&|_, _| {})
    }

    /// Reads the document as [`Self::read`] does, and checks the value by its own rules. The
    /// findings of `check` are reported together with the violations found while reading.
    ///
    /// # Errors
    /// Returns all violations at once, including the findings of the check.
    pub fn read_checked<T: DeserializeOwned + JsonSchema>(
        &self,
        check: Check<'_, T>,
    ) -> Result<T, Violations> {
        self.read_as(&schema::<T>(), check)
    }

    /// Returns the document with its overrides, without comparing it with a type.
    ///
    /// # Errors
    /// Returns an error for refused overrides, dates, and numbers that TOML cannot write.
    pub fn table(&self) -> Result<toml::Table, Violations> {
        self.read_as(&json!({ "type": "object" }), &|_, _| {})
    }

    /// Reads and checks the parts that fit the schema. During the check, the other parts have their
    /// default values, so the check's findings about them are dropped as consequences.
    fn read_as<T: DeserializeOwned>(
        &self,
        schema: &Json,
        check: Check<'_, T>,
    ) -> Result<T, Violations> {
        let compared = compare(self, schema);
        let mut violations = [&self.problems[..], &compared.violations].concat();
        match deserialize(&compared.fitting) {
            Ok(value) => {
                check(&value, &mut |key, message| {
                    if !compared.is_left_out(key) {
                        violations.push(self.violation(key, message));
                    }
                });
                if violations.is_empty() {
                    return Ok(value);
                }
            }
            Err((key, message)) if compared.violations.is_empty() => {
                violations.push(self.violation(&key, message));
            }
            // A required key was left out; its violation is already in the list.
            Err(_) => {}
        }
        Err(Violations::new(&self.name, violations))
    }
}

/// Reads a tree, or returns the dotted key and the message of the first error.
///
/// `toml` reads only text that it has parsed, so the tree is first written as one line of TOML.
fn deserialize<T: DeserializeOwned>(tree: &Value) -> Result<T, (String, String)> {
    let text = tree.to_string();
    let wrong = |key: &[String], error: &toml::de::Error| {
        (path::dotted(key), error.message().trim().to_owned())
    };
    let deserializer = ValueDeserializer::parse(&text).map_err(|error| wrong(&[], &error))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let keys = error.path().iter().map_while(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        wrong(&keys.collect::<Vec<_>>(), error.inner())
    })
}
