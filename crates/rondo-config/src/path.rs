//! Dotted keys: `model.recurrence.mean`, `perturb.0.at`, `a."b.c"`.

use toml::de::{DeTable, DeValue};

/// Splits a dotted key as TOML does. Returns `None` if the text is not exactly one key.
pub fn parse(key: &str) -> Option<Vec<String>> {
    if key.contains(['\n', '=']) {
        return None;
    }
    let line = format!("{key} = 0");
    let table = DeTable::parse(&line).ok()?;
    let mut table = table.get_ref();
    let mut path = Vec::new();
    loop {
        let (name, value) = table.iter().next()?;
        path.push(name.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(path),
        }
    }
}

/// Joins keys with dots. Keys that TOML would quote are quoted.
pub fn dotted(path: &[String]) -> String {
    let keys: Vec<String> = path.iter().map(|key| quoted_key(key)).collect();
    keys.join(".")
}

/// Writes one key; quotes it if it is not a bare key.
pub(crate) fn quoted_key(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        // A basic string may contain both kinds of quotes, and escapes.
        let escaped: String = key
            .chars()
            .flat_map(|c| match c {
                '"' | '\\' => vec!['\\', c],
                c if c.is_control() => format!("\\u{:04X}", u32::from(c)).chars().collect(),
                c => vec![c],
            })
            .collect();
        format!("\"{escaped}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_key_splits_and_joins_to_itself() {
        for key in [
            "a",
            "model.recurrence.mean",
            "perturb.0.at",
            "a.\"b.c\".d",
            "\"\\\"\\u0007\"",
        ] {
            assert_eq!(parse(key).map(|path| dotted(&path)).as_deref(), Some(key));
        }
    }

    #[test]
    fn text_that_is_not_one_key_is_refused() {
        for key in ["", " ", "a..b", ".a", "a b", "[a]\nb", "a = 1\nb", "a #"] {
            assert_eq!(parse(key), None, "{key:?}");
        }
    }
}
