//! The `[data]` section of a run's configuration.

mod validate;

use std::path::Path;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::corpus::CorpusSource;
use crate::error::DataError;
use crate::hub::HubFiles;
use crate::prepare::Tell;
use crate::tasks::curriculum::Curriculum;
use crate::tasks::group::Group;
use crate::token_files::RawWidth;

pub(crate) use self::validate::val_fraction_violation;

/// Where the tokens of a run come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(transform = with_earlier_names)]
pub enum DataConfig {
    /// Text files, tokenized once and kept in a cache folder.
    Text {
        /// Files, folders and globs. If the list is empty, the sources of the pinned dependencies
        /// are used.
        #[serde(default)]
        paths: Vec<String>,
        /// Files of a data set on the Hugging Face Hub, instead of paths.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hub: Option<HubFiles>,
        /// How text becomes tokens.
        #[serde(default)]
        tokenizer: TokenizerConfig,
        /// Share of the corpus, in bytes, that is used for validation.
        #[serde(default = "val_fraction")]
        val_fraction: f64,
        /// The maximum number of bytes of text that are read; by default all text is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_bytes: Option<u64>,
        /// Folder of prepared corpora, with one subfolder for each.
        #[serde(default = "cache")]
        cache: String,
        /// Where a document's text is: a key of every record in a `.jsonl` or `.json` file, or a
        /// column of a Parquet or Arrow file. `a.b` is `b` inside `a`. Earlier versions call this
        /// setting `json_field`.
        #[serde(default = "field", alias = "json_field")]
        field: String,
        /// Whether lines of a `.jsonl` file that are not documents are skipped and counted.
        #[serde(default, skip_serializing_if = "is_false")]
        skip_bad_lines: bool,
        /// Whether a token only attends within its own document, and positions restart in each
        /// document.
        #[serde(default, skip_serializing_if = "is_false")]
        document_mask: bool,
    },
    /// A folder written by `trainer prepare`.
    Prepared {
        /// The folder.
        path: String,
        /// Whether a token only attends within its own document, and positions restart in each
        /// document.
        #[serde(default, skip_serializing_if = "is_false")]
        document_mask: bool,
    },
    /// Token files of another trainer, read in place: `.bin` of nanoGPT, modded-nanogpt and llm.c,
    /// `.bin` with `.idx` of Megatron, `.npy`.
    Tokens {
        /// Files, folders and globs of training tokens.
        train: Vec<String>,
        /// Files, folders and globs of validation tokens. If the list is empty, the last training
        /// tokens are used for validation.
        #[serde(default)]
        val: Vec<String>,
        /// The tokenizer that made the tokens: `file` or `bytes`.
        tokenizer: TokenizerConfig,
        /// Share of the training tokens that is used for validation, if `val` is empty.
        #[serde(default = "val_fraction")]
        val_fraction: f64,
        /// The width of the tokens in files without a header.
        #[serde(default)]
        raw: RawWidth,
        /// Whether a token only attends within its own document, and positions restart in each
        /// document.
        #[serde(default, skip_serializing_if = "is_false")]
        document_mask: bool,
    },
    /// Several texts, each with its share of the rows.
    Mixture {
        /// The texts. If a tokenizer is trained, it is trained on the first text.
        sources: Vec<MixtureSource>,
        /// Whether a token only attends within its own document, and positions restart in each
        /// document. The setting applies to all sources.
        #[serde(default, skip_serializing_if = "is_false")]
        document_mask: bool,
    },
    /// The word problem of a finite group.
    WordProblem {
        /// The group; its elements are the vocabulary.
        #[serde(default = "group")]
        group: Group,
        /// Length of the words, in letters.
        #[serde(default = "word_lengths")]
        curriculum: Curriculum,
    },
    /// No corpus: for an imported model, with or without its tokenizer.
    #[serde(rename = "none")]
    Nothing {},
    /// Nested arithmetic over `Z_modulus`.
    Arithmetic {
        /// The modulus: the ring has this many elements, each written as one digit.
        #[serde(default = "modulus")]
        modulus: u32,
        /// Number of tokens in a row. A row contains as many trees as fit.
        #[serde(default = "arithmetic_seq")]
        seq: usize,
        /// Depth of the trees: the number of operators from the root to a leaf.
        #[serde(default = "tree_depths")]
        curriculum: Curriculum,
    },
}

/// One text of a mixture.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct MixtureSource {
    /// The name of the text in metrics: letters, digits, `-` and `_`.
    pub name: String,
    /// The share of the rows, relative to the sum of all weights.
    pub weight: f64,
    /// The text: `text`, `prepared` or `tokens`.
    pub data: DataConfig,
}

/// How text becomes tokens.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TokenizerConfig {
    /// One token per byte and one for the end of a text: 257 tokens.
    Bytes {},
    /// A byte-level BPE trained on the training part of the corpus.
    Bpe {
        /// Size of the vocabulary, including the 256 bytes and the end of a text.
        #[serde(default = "vocab_size")]
        vocab_size: usize,
    },
    /// A `tokenizer.json` of the `tokenizers` library.
    File {
        /// The file, or the folder that holds it.
        path: String,
        /// The token that ends a text. By default it is the `eos_token` of the
        /// `tokenizer_config.json` beside the file, or else the first of the known names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        end_of_text: Option<String>,
    },
}

/// Adds the keys of earlier versions, which are still read, to the schema.
fn with_earlier_names(schema: &mut Schema) {
    let variants = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    for variant in variants.into_iter().flatten() {
        if let Some(keys) = variant["properties"].as_object_mut()
            && keys.contains_key("field")
        {
            let earlier = json!({
                "deprecated": true,
                "description": "What earlier versions call `field`.",
                "type": "string",
            });
            keys.insert("json_field".to_owned(), earlier);
        }
    }
}

fn val_fraction() -> f64 {
    0.05
}

fn cache() -> String {
    "data/cache".to_owned()
}

fn field() -> String {
    "text".to_owned()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

fn vocab_size() -> usize {
    4096
}

fn group() -> Group {
    Group::Symmetric { n: 3 }
}

fn word_lengths() -> Curriculum {
    Curriculum::new(4, 4, 32)
}

fn modulus() -> u32 {
    7
}

fn arithmetic_seq() -> usize {
    128
}

fn tree_depths() -> Curriculum {
    Curriculum::new(1, 1, 6)
}

impl Default for DataConfig {
    fn default() -> Self {
        Self::Text {
            paths: Vec::new(),
            hub: None,
            tokenizer: TokenizerConfig::default(),
            val_fraction: val_fraction(),
            max_bytes: None,
            cache: cache(),
            field: field(),
            skip_bad_lines: false,
            document_mask: false,
        }
    }
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self::Bpe {
            vocab_size: vocab_size(),
        }
    }
}

impl DataConfig {
    /// Returns the same configuration with the text encoded by the tokenizer of a file. `None` if
    /// the tokenizer cannot be chosen, as for bytes, existing tokens and tasks.
    pub(crate) fn with_tokenizer_of(&self, file: &Path) -> Option<Self> {
        let mut config = self.clone();
        match &mut config {
            Self::Text {
                tokenizer: tokenizer @ (TokenizerConfig::Bpe { .. } | TokenizerConfig::File { .. }),
                ..
            } => *tokenizer = TokenizerConfig::of_file(file),
            _ => return None,
        }
        Some(config)
    }

    /// Returns the corpus of a text; `None` for other data. Files of the Hub that are not in the
    /// cache are downloaded.
    pub(crate) fn corpus(&self, progress: Tell<'_>) -> Result<Option<CorpusSource>, DataError> {
        let Self::Text {
            paths,
            hub,
            field,
            skip_bad_lines,
            ..
        } = self
        else {
            return Ok(None);
        };
        let source = match hub {
            Some(files) => CorpusSource::of_hub(files, field, progress)?,
            None => CorpusSource::new(paths, field),
        };
        Ok(Some(source.skipping_bad_lines(*skip_bad_lines)))
    }

    /// Returns whether a token attends only within its own document; always false for tasks, whose
    /// rows have no documents.
    pub fn document_mask(&self) -> bool {
        match self {
            Self::Text { document_mask, .. }
            | Self::Prepared { document_mask, .. }
            | Self::Tokens { document_mask, .. }
            | Self::Mixture { document_mask, .. } => *document_mask,
            Self::Nothing {} | Self::WordProblem { .. } | Self::Arithmetic { .. } => false,
        }
    }

    /// Returns whether the tokens are generated rather than read.
    pub fn is_task(&self) -> bool {
        matches!(self, Self::WordProblem { .. } | Self::Arithmetic { .. })
    }

    /// Returns the accuracy of guessing a task's answer; `None` for text.
    pub fn chance_accuracy(&self) -> Option<f64> {
        match self {
            Self::Nothing {}
            | Self::Text { .. }
            | Self::Prepared { .. }
            | Self::Tokens { .. }
            | Self::Mixture { .. } => None,
            Self::WordProblem { group, .. } => Some(1.0 / group.table().order() as f64),
            Self::Arithmetic { modulus, .. } => Some(1.0 / f64::from(*modulus)),
        }
    }

    /// Returns whether the configuration has no training data.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing {})
    }
}

impl TokenizerConfig {
    /// Returns the configuration for the tokenizer of a file. A file beside it, or the list of
    /// known names, decides which token ends a text.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self::File {
            path: path.display().to_string(),
            end_of_text: None,
        }
    }
}

#[cfg(test)]
mod tests;
