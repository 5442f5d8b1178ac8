//! Reads `config.json`: its family, and the model that its keys describe.

use std::fs::File;
use std::path::Path;

use rondo_files::read_capped;
use rondo_model::config::ModelConfig;
use serde_json::{Map, Value};

use crate::error::InterchangeError;
use crate::family::Family;
use crate::keys::{Keys, MAX_SIZE};
use crate::special::{self, SpecialTokens};

/// The name of the file.
pub(crate) const CONFIG_FILE: &str = "config.json";
/// The maximum size of the file, in bytes. A real configuration has about two thousand bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The contents of `config.json`.
pub(crate) struct Settings {
    /// The family, found by `model_type`.
    pub(crate) family: Family,
    /// The model; `None` if a size is missing.
    pub(crate) model: Option<ModelConfig>,
    /// Keys whose values are not supported.
    pub(crate) problems: Vec<String>,
    /// Warnings about keys that are ignored.
    pub(crate) warnings: Vec<String>,
    /// The ids of special tokens.
    pub(crate) special: SpecialTokens,
}

/// Reads the `config.json` of a folder.
///
/// # Errors
///
/// Returns an error if the file is missing, is not JSON, or has an unknown `model_type`.
pub(crate) fn read(dir: &Path) -> Result<Settings, InterchangeError> {
    let path = dir.join(CONFIG_FILE);
    let refuse = |message: String| InterchangeError::malformed(&path, message);
    let text = File::open(&path)
        .and_then(|file| read_capped(file, MAX_BYTES))
        .map_err(InterchangeError::io(&path))?
        .ok_or_else(|| {
            refuse(format!(
                "too large for a configuration: more than {MAX_BYTES} bytes"
            ))
        })?;
    let map: Map<String, Value> =
        serde_json::from_slice(&text).map_err(|error| refuse(format!("not an object: {error}")))?;
    let known = Family::model_types();
    let Some(kind) = map.get("model_type") else {
        return Err(refuse(format!(
            "model_type is missing; only {known} can be imported"
        )));
    };
    match kind.as_str().and_then(Family::of_model_type) {
        Some(family) => Ok(interpret(family, &map)),
        None => Err(refuse(format!("model_type must be {known}, is {kind}"))),
    }
}

/// Interprets the keys of a file of the given family.
pub(crate) fn interpret(family: Family, map: &Map<String, Value>) -> Settings {
    let layout = family.layout();
    let mut keys = Keys::new(map);
    let mut warnings = Vec::new();
    let model = layout.model(&mut keys, &mut warnings);
    let rows = model.as_ref().map_or(MAX_SIZE, |model| model.vocab_size);
    let special = special::read(&mut keys, rows, &mut warnings);
    for key in keys.rest(layout.unread()) {
        warnings.push(format!("{CONFIG_FILE}: unknown key {key} is ignored"));
    }
    if let Some(model) = &model {
        model.to_section().validate(&mut |key, message| {
            keys.problems.push(format!("model.{key} {message}"));
        });
    }
    let problems = keys.problems;
    Settings {
        family,
        model,
        problems,
        warnings,
        special,
    }
}
