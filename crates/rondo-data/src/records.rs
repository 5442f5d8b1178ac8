//! Extracts the text of one JSON record.

use serde_json::{Map, Value};

/// Returns the text under the key `field`, or what is wrong with the record.
///
/// `NaN` and `Infinity`, which Python writes although they are not JSON, are read as null.
pub(crate) fn text_of(record: &[u8], field: &str) -> Result<String, String> {
    let value: Value = match serde_json::from_slice(record) {
        Ok(value) => value,
        Err(error) => without_nan(record)
            .and_then(|patched| serde_json::from_slice(&patched).ok())
            .ok_or_else(|| fault(record, &error))?,
    };
    let refuse = |why: &str| {
        Err(format!(
            "no text under the key `{field}` (data.field, --field){why}"
        ))
    };
    let Value::Object(mut fields) = value else {
        return refuse(&format!(": this is {}, not a record", kind(&value)));
    };
    match remove(&mut fields, field) {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Array(_)) => refuse(
            ": it holds a list, not a text; write each list, for example the messages of a chat, as one text first",
        ),
        Some(other) => refuse(&format!(": it holds {}, not a text", kind(&other))),
        None => {
            let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
            refuse(&format!("; keys here: {}", keys.join(", ")))
        }
    }
}

/// Removes and returns the value under a key, which may contain dots, or under a path of keys
/// separated by dots.
fn remove(fields: &mut Map<String, Value>, path: &str) -> Option<Value> {
    if let Some(value) = fields.remove(path) {
        return Some(value);
    }
    let mut dots = path.match_indices('.');
    dots.find_map(|(at, _)| match fields.get_mut(&path[..at]) {
        Some(Value::Object(inner)) => remove(inner, &path[at + 1..]),
        _ => None,
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text alone",
        Value::Array(_) => "a list",
        Value::Object(_) => "a record of its own",
    }
}

/// Describes what is wrong with a record that is not JSON.
fn fault(record: &[u8], error: &serde_json::Error) -> String {
    if let Err(error) = std::str::from_utf8(record) {
        return format!(
            "not a line of JSON: not UTF-8 at its byte {}",
            error.valid_up_to()
        );
    }
    if let Some(escape) = lone_surrogate(record) {
        return format!(
            "not a line of JSON: `{escape}` is one half of a surrogate pair without the other, \
             as where a text was cut inside an emoji"
        );
    }
    format!("not a line of JSON: {error}")
}

/// Returns a record with null in place of `NaN`, `Infinity` and `-Infinity`; `None` if there are
/// none.
fn without_nan(record: &[u8]) -> Option<Vec<u8>> {
    let mut patched = Vec::with_capacity(record.len());
    let (mut rest, mut inside, mut found) = (record, false, false);
    while let Some(&byte) = rest.first() {
        let name = [&b"NaN"[..], b"-Infinity", b"Infinity"]
            .into_iter()
            .find(|name| !inside && rest.starts_with(name));
        if let Some(name) = name {
            patched.extend_from_slice(b"null");
            rest = &rest[name.len()..];
            found = true;
            continue;
        }
        let taken = if inside && byte == b'\\' { 2 } else { 1 };
        inside ^= byte == b'"';
        let (same, behind) = rest.split_at(taken.min(rest.len()));
        patched.extend_from_slice(same);
        rest = behind;
    }
    found.then_some(patched)
}

/// Returns the first `\u` escape that is one half of a surrogate pair and does not have the other
/// half next to it.
fn lone_surrogate(record: &[u8]) -> Option<String> {
    let unit = |bytes: &[u8]| {
        let digits = std::str::from_utf8(bytes.strip_prefix(b"\\u")?.get(..4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut rest = record;
    while let Some(at) = rest.iter().position(|&byte| byte == b'\\') {
        rest = &rest[at..];
        let taken = match unit(rest) {
            Some(0xd800..=0xdbff)
                if rest
                    .get(6..)
                    .and_then(unit)
                    .is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) =>
            {
                12
            }
            Some(0xd800..=0xdfff) => return Some(String::from_utf8_lossy(&rest[..6]).into_owned()),
            _ => 2,
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(record: &str) -> Result<String, String> {
        text_of(record.as_bytes(), "text")
    }

    #[test]
    fn numbers_that_json_does_not_have_are_passed_over_beside_the_text() {
        for value in [
            "NaN",
            "Infinity",
            "-Infinity",
            "[1, NaN, {\"x\": -Infinity}]",
        ] {
            let record = format!(r#"{{"a": {value}, "text": "NaN \"NaN\" \\", "b":{value}}}"#);
            assert_eq!(text(&record).as_deref(), Ok(r#"NaN "NaN" \"#), "{record}");
        }
        let error = text(r#"{"text": NaN}"#).expect_err("no text");
        assert!(error.contains("it holds null"), "{error}");
        assert!(text(r#"{"text": "x", "a": nan}"#).is_err());
        assert!(text(r#"{"text": "x", "a": 1NaN}"#).is_err());
    }

    #[test]
    fn half_a_surrogate_pair_is_named() {
        assert_eq!(text(r#"{"text": "\ud83d\ude00"}"#).as_deref(), Ok("😀"));
        assert_eq!(text(r#"{"text": "\\ud83d"}"#).as_deref(), Ok(r"\ud83d"));
        for half in [
            r"\ud83d",
            r"\uD83D x",
            r"\ude00",
            r"\ud83d\u0041",
            r"\ud83d\ud83d\ude00",
            r"\\\ud83d",
        ] {
            let error = text(&format!(r#"{{"text": "a {half}"}}"#)).expect_err(half);
            assert!(error.contains("surrogate pair"), "{error}");
        }
    }

    #[test]
    fn a_missing_text_is_told_with_what_is_there() {
        for (record, expected) in [
            (
                r#"{"url": "u", "content": "c"}"#,
                "; keys here: content, url",
            ),
            (r#"{"text": [{"role": "user"}]}"#, "holds a list"),
            (r#"{"text": {"en": "x"}}"#, "holds a record of its own"),
            (r#"{"text": null}"#, "holds null"),
            (r#""text""#, "this is a text alone, not a record"),
        ] {
            let error = text(record).expect_err(record);
            assert!(error.contains("no text under the key `text`"), "{error}");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_path_with_dots_leads_into_records_and_a_key_with_dots_comes_first() {
        let nested = r#"{"a": {"b": "inside", "c.d": "dots inside"}, "a.b": "dots", "x": {"y": {"z": "deep"}}}"#;
        for (path, expected) in [("a.b", "dots"), ("a.c.d", "dots inside"), ("x.y.z", "deep")] {
            assert_eq!(text_of(nested.as_bytes(), path).as_deref(), Ok(expected));
        }
        for path in ["a.x", "x.y", "a.b.c", ".a", "a."] {
            assert!(text_of(nested.as_bytes(), path).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_by_the_first_fault() {
        for (record, expected) in [
            (&b"{\"text\": \"a\xff\"}"[..], "not UTF-8 at its byte 11"),
            (b"{\"text\": \"a", "EOF while parsing a string"),
        ] {
            let error = text_of(record, "text").expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }
}
