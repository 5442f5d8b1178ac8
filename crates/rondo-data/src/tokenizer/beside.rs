//! `tokenizer_config.json`, which Python's tokenizers read along with `tokenizer.json`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::read_capped;
use crate::error::DataError;

/// The file's name.
pub(crate) const CONFIG_FILE: &str = "tokenizer_config.json";

/// The keys of the file that decide how text becomes tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// The token that ends a text.
    pub(super) eos: Option<String>,
    /// The token that begins a text.
    pub(super) bos: Option<String>,
    /// Whether a text begins with `bos`; `None` if only the post-processor decides.
    pub(super) add_bos: Option<bool>,
    /// Whether the name of a special token in a text is ordinary text.
    pub(super) split_special: bool,
}

/// Reads the file beside the `tokenizer.json` at `tokenizer`; the default if there is none.
///
/// # Errors
///
/// When the file cannot be read, is not a JSON object, or gives a token's name as something other
/// than a string.
pub(super) fn read(tokenizer: &Path) -> Result<Beside, DataError> {
    let path = tokenizer.with_file_name(CONFIG_FILE);
    if !path.is_file() {
        return Ok(Beside::default());
    }
    let text = read_capped(&path)?;
    let refuse = |message: String| DataError::Tokenizer {
        name: path.display().to_string(),
        message,
    };
    let map: Map<String, Value> = serde_json::from_slice(&text)
        .map_err(|error| refuse(format!("not a JSON object: {error}")))?;
    let flag = |key: &str| map.get(key).and_then(Value::as_bool);
    // Python's general tokenizer class ignores `add_bos_token`, and only the post-processor
    // decides.
    let general = map
        .get("tokenizer_class")
        .is_none_or(|class| class == "PreTrainedTokenizerFast");
    Ok(Beside {
        eos: token(&map, "eos_token").map_err(refuse)?,
        bos: token(&map, "bos_token").map_err(refuse)?,
        add_bos: flag("add_bos_token").filter(|_| !general),
        split_special: flag("split_special_tokens") == Some(true),
    })
}

/// Reads the name of a token: a string, or an object whose `content` is the string.
fn token(map: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    let value = match map.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(token)) => token.get("content").unwrap_or(&Value::Null),
        Some(value) => value,
    };
    match value.as_str() {
        Some(name) => Ok(Some(name.to_owned())),
        None => Err(format!(
            "{key} must be a word or an object with a `content`, is {}",
            map[key]
        )),
    }
}

/// Returns the text of a file that sets the token that ends a text.
pub(super) fn naming(end_of_text: &str) -> Vec<u8> {
    // Here, as in corpora, the name of a special token in a text is ordinary text.
    let value = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": end_of_text,
        "split_special_tokens": true,
    });
    format!("{value:#}\n").into_bytes()
}
