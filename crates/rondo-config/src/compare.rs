//! Compares a document with the JSON Schema of the type that is read from the document.
//!
//! Keys, words and values that the schema does not allow are reported and left out, so that the
//! rest of the document can be read. If a table lacks a required key, or an array has a wrong
//! element, the whole table or array is left out. Rules that a schema cannot express, such as a
//! rule about two numbers together, are checked by the type itself.

mod form;
mod keys;
mod table;

use std::collections::BTreeSet;

use serde_json::Value as Json;

pub(crate) use self::form::{Form, resolve};
use crate::document::Document;
use crate::path::dotted;
use crate::suggest;
use crate::value::{Node, Value};
use crate::violation::Violation;

/// The maximum number of violations that are reported at once.
const MOST: usize = 64;

/// A schema that allows every value.
static ANYTHING: Json = Json::Bool(true);

/// The result of a comparison.
pub(crate) struct Compared {
    /// The parts of the document that fit the schema.
    pub(crate) fitting: Value,
    /// The violations in the other parts.
    pub(crate) violations: Vec<Violation>,
    /// The keys that were left out. If an unknown key is probably a misspelt known key, the known
    /// key is listed too.
    left_out: BTreeSet<Vec<String>>,
}

impl Compared {
    /// Whether the value at a dotted key, or a table that contains it, was left out.
    pub(crate) fn is_left_out(&self, key: &str) -> bool {
        self.left_out.iter().any(|place| {
            key.strip_prefix(&dotted(place))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

/// Compares a document with a schema.
pub(crate) fn compare(document: &Document, schema: &Json) -> Compared {
    let mut comparison = Comparison {
        document,
        root: schema,
        path: Vec::new(),
        violations: Vec::new(),
        left_out: BTreeSet::new(),
    };
    let mut fitting = document.root.value.clone();
    comparison.schema(schema, &mut fitting);
    let mut violations = comparison.violations;
    if violations.len() > MOST {
        violations.truncate(MOST);
        let rest = "there may be more problems; correct these first".to_owned();
        violations.push(document.violation("", rest));
    }
    Compared {
        fitting,
        violations,
        left_out: comparison.left_out,
    }
}

/// A walk through a document and its schema.
struct Comparison<'s> {
    document: &'s Document,
    root: &'s Json,
    /// The key of the value that is being compared.
    path: Vec<String>,
    violations: Vec<Violation>,
    left_out: BTreeSet<Vec<String>>,
}

impl<'s> Comparison<'s> {
    /// Compares a value with a schema, removes the parts inside it that do not fit, and returns
    /// whether the rest fits.
    fn schema(&mut self, schema: &'s Json, value: &mut Value) -> bool {
        self.form(&Form::of(schema, self.root), value)
    }

    fn form(&mut self, form: &Form<'s>, value: &mut Value) -> bool {
        match (form, value) {
            (Form::Choice { forms, .. }, value) => {
                match forms.iter().find(|form| form.takes(value)) {
                    Some(form) => self.form(form, value),
                    None => self.wrong_type(form, value),
                }
            }
            (Form::Word(words), Value::String(word)) => self.word(word, words),
            (Form::Variant(variants), Value::Table(table)) => self.variant(variants, table),
            (Form::Table(schema), Value::Table(table)) => self.table(schema, &[], table),
            (Form::Array(schema), Value::Array(nodes)) => self.array(schema, nodes),
            (Form::Any, Value::Table(table)) => self.table(&ANYTHING, &[], table),
            (Form::Any, Value::Array(nodes)) => self.array(&ANYTHING, nodes),
            (form, value) => form.takes(value) || self.wrong_type(form, value),
        }
    }

    fn word(&mut self, word: &str, words: &[&str]) -> bool {
        let known = words.contains(&word);
        if !known {
            let word_shown = Value::String(word.to_owned());
            let listed = words.join(", ");
            let suggestion = suggest::nearest(word, words.iter().copied());
            let message = format!("unknown variant {word_shown} (one of {listed})");
            self.report(message, suggestion);
        }
        known
    }

    /// Compares the elements of an array.
    fn array(&mut self, schema: &'s Json, nodes: &mut [Node]) -> bool {
        let length = schema["minItems"].as_u64();
        if let Some(length) = length.filter(|_| schema["maxItems"] == schema["minItems"])
            && length != nodes.len() as u64
        {
            let found = nodes.len();
            self.report(
                format!("expected an array of length {length}, found {found} values"),
                None,
            );
            return false;
        }
        let each = schema.get("items").unwrap_or(&ANYTHING);
        let mut all_fit = true;
        for (index, node) in nodes.iter_mut().enumerate() {
            self.path.push(index.to_string());
            let own = schema["prefixItems"].get(index).unwrap_or(each);
            all_fit &= self.schema(own, &mut node.value);
            self.path.pop();
        }
        all_fit
    }

    /// Whether the list of violations is full. The list holds one violation more than the limit, to
    /// detect that the limit was exceeded.
    fn is_full(&self) -> bool {
        self.violations.len() > MOST
    }

    /// Reports a value of a wrong type and returns false.
    fn wrong_type(&mut self, form: &Form<'_>, value: &Value) -> bool {
        let message = format!("expected {}, found {}", form.describe(), value.describe());
        let whole = match (form, value) {
            (Form::WholeNumber(_), Value::Float(number)) if number.fract() == 0.0 => {
                Some(format!("{number:.0}"))
            }
            _ => None,
        };
        self.report(message, whole);
        false
    }

    fn report(&mut self, message: String, suggestion: Option<String>) {
        if self.is_full() {
            return;
        }
        let violation = self.document.violation(&dotted(&self.path), message);
        self.violations.push(Violation {
            suggestion,
            ..violation
        });
    }
}
