//! The files of a prepared folder, and its description.
//!
//! ```text
//! tokenizer.json         absent for bytes
//! tokenizer_config.json  which token ends a text, unless a known name decided it alone
//! train.tokens           the training tokens, every document followed by the end-of-text token
//! val.tokens             the validation tokens, likewise
//! corpus.json            CorpusInfo
//! ```
//!
//! A part with more tokens than fit in one file is stored in `train.00000.tokens`,
//! `train.00001.tokens` and so on, which `corpus.json` lists.

use serde::{Deserialize, Serialize};

pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";
pub(crate) const TRAIN_FILE: &str = "train.tokens";
pub(crate) const VAL_FILE: &str = "val.tokens";
pub(crate) const INFO_FILE: &str = "corpus.json";

/// A part of the corpus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Train,
    Val,
}

impl Part {
    /// Returns the name of the part's token file, if there is only one.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Train => TRAIN_FILE,
            Self::Val => VAL_FILE,
        }
    }

    /// Returns the name of one of several token files of the part.
    pub(crate) fn numbered(self, number: usize) -> String {
        let name = match self {
            Self::Train => "train",
            Self::Val => "val",
        };
        format!("{name}.{number:05}.tokens")
    }
}

/// The token files of a part that is larger than one file.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Shards {
    /// BLAKE3 of all tokens, in the order of the files, in hexadecimal.
    pub hash: String,
    /// The files, in order.
    pub files: Vec<ShardFile>,
}

/// One of several token files.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ShardFile {
    /// The name of the file in the folder.
    pub file: String,
    /// The number of tokens in the file.
    pub tokens: u64,
    /// BLAKE3 of the file's tokens, in hexadecimal.
    pub hash: String,
}

/// The content of a prepared folder, stored as `corpus.json`.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CorpusInfo {
    /// Where the text came from: the paths as given, or the crates with their versions.
    pub sources: Vec<String>,
    /// The number of files read.
    pub files: usize,
    /// The number of documents read, exact copies included.
    pub documents: usize,
    /// The number of exact copies that were dropped.
    pub duplicates: usize,
    /// The number of documents for training. A single document that is cut counts for both parts.
    pub train_documents: usize,
    /// The number of documents for validation.
    pub val_documents: usize,
    /// The number of bytes of training text.
    pub train_bytes: u64,
    /// The number of bytes of validation text.
    pub val_bytes: u64,
    /// The number of training tokens.
    pub train_tokens: u64,
    /// The number of validation tokens.
    pub val_tokens: u64,
    /// The files of the training tokens; absent if `train.tokens` holds them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_shards: Option<Shards>,
    /// The files of the validation tokens; absent if `val.tokens` holds them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_shards: Option<Shards>,
    /// The requested validation share of the bytes.
    pub val_fraction: f64,
    /// The number of tokens in the vocabulary.
    pub vocab_size: usize,
    /// BLAKE3 of the tokenizer, in hexadecimal.
    pub tokenizer_hash: String,
    /// BLAKE3 over the BLAKE3 of every distinct document in reading order, in hexadecimal.
    pub corpus_hash: String,
    /// Whether the whole default corpus matches the recorded corpus,
    /// [`EXPECTED_HASH`](crate::dependencies::EXPECTED_HASH); absent for any other corpus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches_recorded: Option<bool>,
    /// The number of lines and records that were skipped because they are not documents.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped_lines: usize,
    /// What the user should know about the corpus, one line each: what was skipped or read as plain
    /// text.
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
