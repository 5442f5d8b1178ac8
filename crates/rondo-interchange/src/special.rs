//! The ids of special tokens. They are not part of the model's function; they mark the beginning of
//! a text and stop generation.

use std::fs::File;
use std::path::Path;

use rondo_files::read_capped;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::InterchangeError;
use crate::keys::Keys;

/// The file from which Python's `generate` reads its settings.
const GENERATION_FILE: &str = "generation_config.json";
/// The largest file of settings that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// One id, or several ids with the same meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ids {
    /// One id.
    One(u32),
    /// Several ids.
    AnyOf(Vec<u32>),
}

impl Ids {
    /// Returns the ids.
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::AnyOf(ids) => ids,
        }
    }
}

/// The special tokens of a model, named as in `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpecialTokens {
    /// The token that begins a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bos_token_id: Option<u32>,
    /// The token that ends a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eos_token_id: Option<Ids>,
    /// The token that pads rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad_token_id: Option<u32>,
    /// The token between two texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sep_token_id: Option<u32>,
    /// `eos_token_id` of `generation_config.json`. If it is given, it is used for generation
    /// instead of the field `eos_token_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_eos_token_id: Option<Ids>,
}

impl SpecialTokens {
    /// Returns special tokens with only the token that ends a text, if there is one.
    pub fn ending(end_of_text: Option<u32>) -> Self {
        Self {
            eos_token_id: end_of_text.map(Ids::One),
            ..Self::default()
        }
    }

    /// Returns the tokens at which generation stops.
    pub fn stops(&self) -> &[u32] {
        let ids = self.generation_eos_token_id.as_ref();
        ids.or(self.eos_token_id.as_ref())
            .map_or(&[], Ids::as_slice)
    }

    /// Adds to `config.json` each id for which this file has a key.
    pub(crate) fn describe(&self, config: &mut Value) {
        let mut put = |key: &str, ids: Option<Value>| {
            if let Some(ids) = ids {
                config[key] = ids;
            }
        };
        put("bos_token_id", self.bos_token_id.map(Value::from));
        put(
            "eos_token_id",
            self.eos_token_id.as_ref().map(|ids| match ids {
                Ids::One(id) => Value::from(*id),
                Ids::AnyOf(ids) => Value::from(ids.as_slice()),
            }),
        );
        put("pad_token_id", self.pad_token_id.map(Value::from));
        put("sep_token_id", self.sep_token_id.map(Value::from));
    }
}

/// Reads the ids of `config.json`. An id that is not below `rows` is ignored with a warning.
pub(crate) fn read(keys: &mut Keys<'_>, rows: usize, warnings: &mut Vec<String>) -> SpecialTokens {
    let mut one = |key: &'static str| match ids(keys.get(key)?, rows) {
        Ok(Ids::One(id)) => Some(id),
        Ok(ids) => {
            warnings.push(format!(
                "config.json: {key} lists {:?}; only the first is used",
                ids.as_slice()
            ));
            ids.as_slice().first().copied()
        }
        Err(problem) => {
            warnings.push(format!("config.json: {key} {problem}"));
            None
        }
    };
    let (bos_token_id, pad_token_id) = (one("bos_token_id"), one("pad_token_id"));
    let sep_token_id = one("sep_token_id");
    let eos = keys.get("eos_token_id").map(|value| ids(value, rows));
    let eos_token_id = eos.and_then(|ids| {
        ids.map_err(|problem| warnings.push(format!("config.json: eos_token_id {problem}")))
            .ok()
    });
    SpecialTokens {
        bos_token_id,
        eos_token_id,
        pad_token_id,
        sep_token_id,
        generation_eos_token_id: None,
    }
}

/// Reads the tokens that stop generation from a folder's `generation_config.json`; `None` if the
/// file or the key is missing.
pub(crate) fn of_generation(dir: &Path, rows: usize, warnings: &mut Vec<String>) -> Option<Ids> {
    let path = dir.join(GENERATION_FILE);
    if !path.is_file() {
        return None;
    }
    let mut warn = |problem: String| warnings.push(format!("{GENERATION_FILE}: {problem}"));
    let read = File::open(&path).and_then(|file| read_capped(file, MAX_BYTES));
    let text = match read.map_err(InterchangeError::io(&path)) {
        Ok(Some(text)) => text,
        Ok(None) => {
            warn(format!(
                "larger than {MAX_BYTES} bytes; the file is ignored"
            ));
            return None;
        }
        Err(error) => {
            warn(format!("{error}; the file is ignored"));
            return None;
        }
    };
    let map: Map<String, Value> = match serde_json::from_slice(&text) {
        Ok(map) => map,
        Err(error) => {
            warn(format!("not an object: {error}; the file is ignored"));
            return None;
        }
    };
    let value = map.get("eos_token_id").filter(|value| !value.is_null())?;
    ids(value, rows)
        .map_err(|problem| warn(format!("eos_token_id {problem}")))
        .ok()
}

/// Reads an id or a list of ids, each below `rows`.
fn ids(value: &Value, rows: usize) -> Result<Ids, String> {
    let id = |value: &Value| {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.filter(|id| (*id as usize) < rows).ok_or_else(|| {
            format!("is {value}, which is not a token id below {rows}; it is ignored")
        })
    };
    match value {
        Value::Array(list) if list.is_empty() => Err("is empty; it is ignored".to_owned()),
        Value::Array(list) => list
            .iter()
            .map(id)
            .collect::<Result<_, _>>()
            .map(Ids::AnyOf),
        value => id(value).map(Ids::One),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_from(config: &Value) -> (SpecialTokens, Vec<String>) {
        let mut warnings = Vec::new();
        let map = config.as_object().expect("an object");
        let found = read(&mut Keys::new(map), 10, &mut warnings);
        (found, warnings)
    }

    #[test]
    fn ids_come_back_as_they_were_written_and_as_json() {
        for config in [
            json!({}),
            json!({"eos_token_id": 3}),
            json!({"bos_token_id": 0, "eos_token_id": [4, 9], "pad_token_id": 9, "sep_token_id": 1}),
            json!({"eos_token_id": [4]}),
        ] {
            let (found, warnings) = read_from(&config);
            assert!(warnings.is_empty(), "{warnings:?}");
            let mut written = json!({});
            found.describe(&mut written);
            assert_eq!(written, config);
            let text = serde_json::to_string(&found).expect("plain data");
            let again: SpecialTokens = serde_json::from_str(&text).expect("its own text");
            assert_eq!(again, found);
        }
        assert_eq!(
            read_from(&json!({"eos_token_id": null})).0,
            SpecialTokens::default()
        );
    }

    #[test]
    fn an_id_that_is_no_token_is_left_out_with_a_warning_that_names_it() {
        for (key, value, shown) in [
            ("pad_token_id", json!(-1), "-1"),
            ("eos_token_id", json!(10), "10"),
            ("eos_token_id", json!([4, 10]), "10"),
            ("eos_token_id", json!([]), "empty"),
            ("bos_token_id", json!("<s>"), "<s>"),
            ("sep_token_id", json!(1.5), "1.5"),
        ] {
            let (found, warnings) = read_from(&json!({ key: value }));
            assert_eq!(found, SpecialTokens::default(), "{key}");
            assert_eq!(warnings.len(), 1, "{key}: {warnings:?}");
            assert!(
                warnings[0].contains(key) && warnings[0].contains(shown),
                "{warnings:?}"
            );
        }
    }

    #[test]
    fn generation_stops_where_its_own_file_says_so() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut warnings = Vec::new();
        assert_eq!(of_generation(dir.path(), 10, &mut warnings), None);
        let path = dir.path().join(GENERATION_FILE);
        std::fs::write(&path, r#"{"eos_token_id": [7, 8], "temperature": 0.7}"#).expect("writable");
        let mut special = SpecialTokens::ending(Some(3));
        assert_eq!(special.stops(), [3]);
        special.generation_eos_token_id = of_generation(dir.path(), 10, &mut warnings);
        assert_eq!(special.stops(), [7, 8]);
        assert!(warnings.is_empty(), "{warnings:?}");
        for (text, part) in [("[", "not an object"), (r#"{"eos_token_id": 12}"#, "12")] {
            std::fs::write(&path, text).expect("writable");
            assert_eq!(of_generation(dir.path(), 10, &mut warnings), None);
            let warning = warnings.pop().expect("a warning");
            assert!(
                warning.contains(part) && warning.contains(GENERATION_FILE),
                "{warning}"
            );
        }
    }
}
