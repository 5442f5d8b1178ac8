//! The files of an imported model in addition to its weights and its tokenizer.
//!
//! ```text
//! special_tokens.json    the ids of special tokens in config.json, and where generation stops
//! tokenizer_config.json  and other files of COMPANIONS: read by Python's tokenizers, unchanged
//! ```
//!
//! A run that was trained here has a `tokenizer_config.json` only if the file is needed to find the
//! tokenizer's end-of-text token.

use std::fs;
use std::path::Path;

use anyhow::Context;
use rondo_files::atomic_write;
use rondo_interchange::SpecialTokens;

use super::RunDir;
use crate::error::{Error, Result};

/// The file name of the configuration that Python's tokenizers read.
pub const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
/// The name of the file with the ids of special tokens.
pub(super) const SPECIAL_FILE: &str = "special_tokens.json";
/// Files that imports and exports copy unchanged.
pub const COMPANIONS: [&str; 4] = [
    TOKENIZER_CONFIG_FILE,
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
];

impl RunDir {
    /// Returns the special tokens of an imported model. `None` for a run that was trained here, or
    /// imported by an older version.
    ///
    /// # Errors
    ///
    /// When the file exists but cannot be parsed.
    pub fn special_tokens(&self) -> Result<Option<SpecialTokens>> {
        let path = self.path().join(SPECIAL_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let special = serde_json::from_slice(&text)
            .map_err(|error| Error::Foreign(format!("{}: {error}", path.display())))?;
        Ok(Some(special))
    }

    /// Writes the special tokens of an imported model.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write_special_tokens(&self, special: &SpecialTokens) -> Result<()> {
        let text = serde_json::to_string_pretty(special).map_err(anyhow::Error::from)?;
        let path = self.path().join(SPECIAL_FILE);
        Ok(atomic_write(&path, format!("{text}\n").as_bytes())?)
    }
}

/// Copies the files of [`COMPANIONS`] that exist in the folder `from` to the folder `to`.
///
/// # Errors
///
/// When a file cannot be copied.
pub fn copy_companions(from: &Path, to: &Path) -> Result<()> {
    for name in COMPANIONS {
        let path = from.join(name);
        if path.is_file() {
            // `fs::copy` would also copy the permissions, and the copy of a read-only file would be
            // read-only.
            fs::read(&path)
                .and_then(|text| atomic_write(&to.join(name), &text).map_err(|error| error.source))
                .with_context(|| format!("cannot copy {}", path.display()))?;
        }
    }
    Ok(())
}
