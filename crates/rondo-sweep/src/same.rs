//! Equality of values in a sweep: numbers are equal if they have the same value, however they are
//! written.

use crate::file::{Entry, Leaf, leaves};

/// Every whole number up to this size, 2^53, is exact as a floating-point number.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// Returns a text that is equal for equal values: `1` and `1.0`, `1e-3` and `0.001`, also inside
/// lists and tables.
pub(crate) fn form(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(number) if number.fract().abs() <= 0.0 && number.abs() <= WHOLE => {
            (*number as i64).to_string()
        }
        toml::Value::Array(values) => {
            let forms: Vec<String> = values.iter().map(form).collect();
            format!("[{}]", forms.join(", "))
        }
        toml::Value::Table(table) => {
            let set = |(key, value)| format!("{key:?} = {}", form(value));
            let mut sets: Vec<String> = table.iter().map(set).collect();
            sets.sort();
            format!("{{ {} }}", sets.join(", "))
        }
        _ => value.to_string(),
    }
}

/// Returns a text that is equal for list entries that set the same values. How the keys are written
/// does not matter.
pub(crate) fn entry_form(entry: &Entry) -> String {
    let set = |leaf: &Leaf<'_>| format!("{:?} = {}\n", leaf.path, form(leaf.value));
    let sets: Vec<String> = leaves(entry).iter().map(set).collect();
    sets.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> toml::Value {
        let table: toml::Table = toml::from_str(&format!("v = {text}")).expect("TOML");
        table["v"].clone()
    }

    #[test]
    fn numbers_are_the_same_however_they_are_written() {
        for (one, other) in [
            ("1", "1.0"),
            ("1e-3", "0.001"),
            ("0x10", "1.6e1"),
            ("0", "-0.0"),
            ("-2", "-2.0"),
            ("[1, 2.0]", "[1.0, 2]"),
            ("{ a = 1, b = { c = 2 } }", "{ b.c = 2e0, a = 1.0 }"),
            ("'x'", "\"x\""),
        ] {
            assert_eq!(form(&value(one)), form(&value(other)));
        }
        for (one, other) in [
            ("1", "1.5"),
            ("1", "'1'"),
            ("1", "true"),
            ("1", "[1]"),
            ("9007199254740993", "9007199254740994.0"),
            ("inf", "-inf"),
            ("{ a = 1 }", "{ a = 2 }"),
        ] {
            assert_ne!(form(&value(one)), form(&value(other)));
        }
    }

    #[test]
    fn entries_are_the_same_however_their_keys_are_written() {
        let form = |text: &str| entry_form(&toml::from_str(text).expect("TOML"));
        assert_eq!(form("\"a.b\" = 1\na.c = 2.0"), form("[a]\nb = 1.0\nc = 2"));
        assert_ne!(form("a.b = 1"), form("a.b = 2"));
        assert_ne!(form("a.b = 1"), form("b.a = 1"));
    }
}
