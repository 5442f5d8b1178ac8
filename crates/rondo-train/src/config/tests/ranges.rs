//! Tests that the rules of a configuration enforce every range in the schema.

use rondo_config::schema;
use serde_json::Value;

use super::*;

/// Overrides that set `key` to the first number outside one of the ranges of `key`.
struct Outside {
    overrides: Vec<String>,
    key: String,
}

/// Collects a number outside each range of a schema. Keys inside arrays are left out.
fn collect(schema: &Value, root: &Value, set: &[String], key: &str, found: &mut Vec<Outside>) {
    let reference = schema["$ref"].as_str().map(|target| &target[1..]);
    let schema = reference.map_or(schema, |target| root.pointer(target).expect("a target"));
    let below = |keyword: &str, step: f64| Some(schema[keyword].as_f64()? + step);
    // An integer below 0 has the wrong type, so it is not a violation of the range.
    let least = below("minimum", -1.0).filter(|least| *least >= 0.0 || schema["type"] == "number");
    let largest = below("maximum", 1.0);
    let bounds = [
        below("exclusiveMinimum", 0.0),
        below("exclusiveMaximum", 0.0),
    ];
    for number in [least, largest].into_iter().chain(bounds).flatten() {
        let overrides = [set, &[format!("{key}={number}")]].concat();
        let key = key.to_owned();
        found.push(Outside { overrides, key });
    }
    let itself = (schema, set.to_vec());
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    let variants = variants.filter_map(|variant| {
        let kind = variant["properties"]["kind"]["const"].as_str()?;
        Some((variant, [set, &[format!("{key}.kind={kind}")]].concat()))
    });
    for (table, set) in std::iter::once(itself).chain(variants) {
        for (name, schema) in table["properties"].as_object().into_iter().flatten() {
            let key = [key, name].join(".");
            collect(schema, root, &set, key.trim_start_matches('.'), found);
        }
    }
}

#[test]
fn every_range_of_the_schema_is_a_rule() {
    let schema = schema::<RunConfig>();
    let mut found = Vec::new();
    collect(&schema, &schema, &[], "", &mut found);
    assert!(found.len() > 40, "{}", found.len());
    for Outside { overrides, key } in found {
        let message = RunConfig::read("test.toml", SHORT, &overrides).map_or_else(
            |error| error.to_string(),
            |_| panic!("{overrides:?} is accepted"),
        );
        let told = message.contains(&format!("{key}=")) || message.contains(&format!("{key}:"));
        assert!(told, "{overrides:?}: {message}");
    }
}
