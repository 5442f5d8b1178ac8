//! Validates a value against a JSON Schema (draft 2020-12). Only the keywords that occur in the
//! configuration schemas are supported.
//!
//! Crates for validation share dependencies with Burn and the derive macros, but with other
//! features. With such a crate, the first `cargo test` after a build would compile all shared
//! dependencies again.

use serde_json::Value;

/// Lists the violations of `schema`, with the place of each. References in the schema are looked up
/// in `root`.
///
/// # Panics
///
/// Panics if the schema has an unknown keyword.
pub(super) fn faults(value: &Value, schema: &Value, root: &Value, place: &str) -> Vec<String> {
    let keywords = match schema {
        Value::Object(keywords) => keywords,
        Value::Bool(true) => return Vec::new(),
        _ => return vec![format!("{place}: is not allowed")],
    };
    let below = |value: &Value, schema: &Value| faults(value, schema, root, place);
    let member = |value: &Value, schema: &Value, key: &str| {
        faults(value, schema, root, &format!("{place}/{key}"))
    };
    let mut found = Vec::new();
    for (keyword, rule) in keywords {
        let list = || rule.as_array().into_iter().flatten();
        let number = rule.as_f64().unwrap_or(f64::NAN);
        let at_least = |count: Option<usize>| count.is_none_or(|count| count as f64 >= number);
        let at_most = |count: Option<usize>| count.is_none_or(|count| count as f64 <= number);
        let is_number =
            |holds: fn(f64, f64) -> bool| value.as_f64().is_none_or(|value| holds(value, number));
        let elements = value.as_array().map(Vec::len);
        let entries = value.as_object().map(serde_json::Map::len);
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "deprecated" | "format" => {
                true
            }
            "$ref" => {
                let target = rule.as_str().and_then(|target| target.strip_prefix('#'));
                let target = target.and_then(|target| root.pointer(target));
                found.extend(below(value, target.expect("a reference has a target")));
                true
            }
            "type" => is_of_type(value, rule.as_str().expect("one type")),
            "const" => value == rule,
            "enum" => list().any(|choice| choice == value),
            "anyOf" => list().any(|choice| below(value, choice).is_empty()),
            "oneOf" => {
                list()
                    .filter(|choice| below(value, choice).is_empty())
                    .count()
                    == 1
            }
            "minimum" => is_number(|value, bound| value >= bound),
            "maximum" => is_number(|value, bound| value <= bound),
            "exclusiveMinimum" => is_number(|value, bound| value > bound),
            "exclusiveMaximum" => is_number(|value, bound| value < bound),
            "minItems" => at_least(elements),
            "maxItems" => at_most(elements),
            "minProperties" => at_least(entries),
            "maxProperties" => at_most(entries),
            "required" => value.as_object().is_none_or(|table| {
                list().all(|key| table.contains_key(key.as_str().expect("a key")))
            }),
            "properties" => {
                for (key, schema) in rule.as_object().into_iter().flatten() {
                    found.extend(
                        value
                            .get(key)
                            .map(|value| member(value, schema, key))
                            .into_iter()
                            .flatten(),
                    );
                }
                true
            }
            "additionalProperties" => {
                let known = |key: &str| schema["properties"].get(key).is_some();
                let others = value.as_object().into_iter().flatten();
                for (key, value) in others.filter(|(key, _)| !known(key)) {
                    found.extend(member(value, rule, key));
                }
                true
            }
            "prefixItems" => {
                let elements = value.as_array().into_iter().flatten();
                for (index, (value, schema)) in elements.zip(list()).enumerate() {
                    found.extend(member(value, schema, &index.to_string()));
                }
                true
            }
            "items" => {
                let first = schema["prefixItems"].as_array().map_or(0, Vec::len);
                let elements = value.as_array().into_iter().flatten().enumerate();
                for (index, value) in elements.skip(first) {
                    found.extend(member(value, rule, &index.to_string()));
                }
                true
            }
            other => panic!("{place}: the keyword {other} is not known here"),
        };
        if !holds {
            found.push(format!("{place}: {value} breaks {keyword} of {schema}"));
        }
    }
    found
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("the type {other} is not known here"),
    }
}
