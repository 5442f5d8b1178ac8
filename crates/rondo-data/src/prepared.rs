//! A prepared folder: its files, and what it says of itself.
//!
//! ```text
//! tokenizer.json         absent for bytes
//! tokenizer_config.json  which token ends a text, where more than a known name decided
//! train.tokens           the training tokens, every document followed by the end-of-text token
//! val.tokens             the validation tokens, likewise
//! corpus.json            CorpusInfo
//! ```

use serde::{Deserialize, Serialize};

pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";
pub(crate) const TRAIN_FILE: &str = "train.tokens";
pub(crate) const VAL_FILE: &str = "val.tokens";
pub(crate) const INFO_FILE: &str = "corpus.json";

/// What a prepared folder holds: `corpus.json`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CorpusInfo {
    /// Where the text came from: the paths as given, or the crates with their versions.
    pub sources: Vec<String>,
    /// Files read.
    pub files: usize,
    /// Documents read, exact copies included.
    pub documents: usize,
    /// Exact copies that were dropped.
    pub duplicates: usize,
    /// Documents that train; one that was cut counts here and below.
    pub train_documents: usize,
    /// Documents that validate.
    pub val_documents: usize,
    /// Bytes of training text.
    pub train_bytes: u64,
    /// Bytes of validation text.
    pub val_bytes: u64,
    /// Training tokens.
    pub train_tokens: u64,
    /// Validation tokens.
    pub val_tokens: u64,
    /// Share of the bytes that was asked for validation.
    pub val_fraction: f64,
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// BLAKE3 of the tokenizer, in hexadecimal.
    pub tokenizer_hash: String,
    /// BLAKE3 over the BLAKE3 of every distinct document in reading order, in hexadecimal.
    pub corpus_hash: String,
    /// Whether the whole default corpus is the one recorded in [`EXPECTED_HASH`](crate::dependencies::EXPECTED_HASH);
    /// absent for any other corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches_recorded: Option<bool>,
    /// Lines and records that were skipped because they are no documents.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped_lines: usize,
    /// What the user should know of the corpus: what was passed over or read as plain text, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(count: &usize) -> bool {
    *count == 0
}
