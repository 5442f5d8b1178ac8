//! The JSON Schema of a type.

use std::mem;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Value as Json, json};

/// Returns the JSON Schema (draft 2020-12) for reading a `T`, with the documentation of each field.
pub fn schema<T: JsonSchema>() -> Json {
    SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(without_null))
        .with_transform(RecursiveTransform(without_links))
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// Removes `null` from the choices of an optional value: TOML has no null, and the key is omitted
/// instead.
fn without_null(schema: &mut Schema) {
    if let Some(Json::Array(types)) = schema.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = &mut types[..] {
            let one = one.take();
            schema.insert("type".to_owned(), one);
        }
    }
    if let Some(Json::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| *choice != json!({ "type": "null" }));
        if let [Json::Object(only)] = &mut choices[..] {
            let only = mem::take(only);
            schema.remove("anyOf");
            for (keyword, value) in only {
                schema.ensure_object().entry(keyword).or_insert(value);
            }
        }
    }
}

/// Replaces links to Rust items by their names.
fn without_links(schema: &mut Schema) {
    if let Some(Json::String(description)) = schema.get_mut("description") {
        *description = description.replace("[`", "`").replace("`]", "`");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A point, as [`Point`] has it.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Point {
        /// From the left.
        x: Option<u8>,
        /// What it is near to.
        near: Option<Box<Point>>,
    }

    #[test]
    fn what_is_optional_is_described_without_null_and_documentation_without_links() {
        let schema = schema::<Point>();
        assert_eq!(schema["description"], "A point, as `Point` has it.");
        let x = json!({
            "description": "From the left.",
            "type": "integer", "format": "uint8", "minimum": 0, "maximum": 255,
        });
        assert_eq!(schema["properties"]["x"], x);
        let near = json!({ "description": "What it is near to.", "$ref": "#" });
        assert_eq!(schema["properties"]["near"], near);
    }
}
