//! The `[data]` section of a run's configuration.

use std::path::Path;

use rondo_config::Report;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::corpus::CorpusSource;
use crate::error::DataError;
use crate::hub::HubFiles;
use crate::mixture::{BLOCK, Mixture};
use crate::tasks::curriculum::Curriculum;
use crate::tasks::group::Group;
use crate::tasks::{MAX_SEQ, MAX_TREE_DEPTH, tree_tokens};
use crate::token_files::RawWidth;

/// Where the tokens of a run come from.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(transform = with_earlier_names)]
pub enum DataConfig {
    /// Text files, tokenized once and kept in a cache folder.
    Text {
        /// Files, folders and globs; empty for the sources of the pinned dependencies.
        #[serde(default)]
        paths: Vec<String>,
        /// Files of a data set of the Hugging Face Hub, in the place of paths.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hub: Option<HubFiles>,
        /// How text becomes tokens.
        #[serde(default)]
        tokenizer: TokenizerConfig,
        /// Share of the corpus, in bytes, that is kept for validation.
        #[serde(default = "val_fraction")]
        val_fraction: f64,
        /// Reads no more than this many bytes of text; everything when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_bytes: Option<u64>,
        /// Folder of prepared corpora, one subfolder each.
        #[serde(default = "cache")]
        cache: String,
        /// Where the document's text is: the key in every record of a `.jsonl` or `.json` file, the column of a
        /// Parquet or Arrow file; `a.b` is `b` inside `a`. Earlier versions call it `json_field`.
        #[serde(default = "field", alias = "json_field")]
        field: String,
        /// Whether lines of a `.jsonl` file that are no documents are skipped and counted.
        #[serde(default, skip_serializing_if = "is_false")]
        skip_bad_lines: bool,
    },
    /// A folder written by `trainer prepare`.
    Prepared {
        /// The folder.
        path: String,
    },
    /// Token files that another trainer wrote, read where they are: `.bin` of nanoGPT, modded-nanogpt and llm.c, `.bin`
    /// with `.idx` of Megatron, `.npy`.
    Tokens {
        /// Files, folders and globs of training tokens.
        train: Vec<String>,
        /// Files, folders and globs of validation tokens; without them the last of the training tokens validate.
        #[serde(default)]
        val: Vec<String>,
        /// The tokenizer that made them, `file` or `bytes`.
        tokenizer: TokenizerConfig,
        /// Share of the training tokens that is kept for validation where `val` names none.
        #[serde(default = "val_fraction")]
        val_fraction: f64,
        /// The width of the tokens in files without a header.
        #[serde(default)]
        raw: RawWidth,
    },
    /// Several texts, each in its share of the rows.
    Mixture {
        /// The texts. A tokenizer that is trained is trained on the first.
        sources: Vec<MixtureSource>,
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
    /// No corpus: a model that came from elsewhere, with or without its tokenizer.
    #[serde(rename = "none")]
    Nothing {},
    /// Nested arithmetic over `Z_modulus`.
    Arithmetic {
        /// The ring has this many digits.
        #[serde(default = "modulus")]
        modulus: u32,
        /// Tokens in a row, which packs as many trees as fit.
        #[serde(default = "arithmetic_seq")]
        seq: usize,
        /// Depth of the trees, in operators.
        #[serde(default = "tree_depths")]
        curriculum: Curriculum,
    },
}

/// One text of a mixture.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct MixtureSource {
    /// Its name in metrics: letters, digits, `-` and `_`.
    pub name: String,
    /// Its share of the rows, divided by the sum of all weights.
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
        /// Size of the vocabulary, the 256 bytes and the end of a text included.
        #[serde(default = "vocab_size")]
        vocab_size: usize,
    },
    /// A `tokenizer.json` of the `tokenizers` library.
    File {
        /// The file, or the folder that holds it.
        path: String,
        /// The token that ends a text; by default `eos_token` of the `tokenizer_config.json` beside
        /// the file, else the first of the known names.
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
    /// Returns the same text encoded with the tokenizer of a file; none where the configuration leaves no choice:
    /// bytes, tokens that are there already, a task.
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

    /// Returns the corpus of a text; none of other data. Files of the Hub are those in the cache, downloaded where they
    /// are not there.
    pub(crate) fn corpus(&self) -> Result<Option<CorpusSource>, DataError> {
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
        let downloaded = hub.as_ref().map(HubFiles::paths).transpose()?;
        let source = CorpusSource::new(downloaded.as_ref().unwrap_or(paths), field);
        Ok(Some(source.skipping_bad_lines(*skip_bad_lines)))
    }

    /// Returns whether the tokens are generated rather than read.
    pub fn is_task(&self) -> bool {
        matches!(self, Self::WordProblem { .. } | Self::Arithmetic { .. })
    }

    /// Returns the accuracy of guessing a task's answer; none of text.
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

    /// Returns whether there is nothing to train on.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing {})
    }

    /// Reports every rule that is broken, each with its key path below `[data]`.
    pub fn validate(&self, report: Report<'_>) {
        match self {
            Self::Nothing {} => {}
            Self::Text {
                paths,
                hub,
                tokenizer,
                val_fraction,
                max_bytes,
                cache,
                field,
                skip_bad_lines: _,
            } => {
                for (index, path) in paths.iter().enumerate() {
                    not_empty(&format!("paths.{index}"), path, report);
                }
                if let Some(hub) = hub {
                    validate_hub(hub, paths, report);
                }
                tokenizer.validate(report);
                if let Some(message) = val_fraction_violation(*val_fraction) {
                    report("val_fraction", message);
                }
                if *max_bytes == Some(0) {
                    report("max_bytes", "must be at least 1, is 0".to_owned());
                }
                not_empty("cache", cache, report);
                not_empty("field", field, report);
            }
            Self::Prepared { path } => not_empty("path", path, report),
            Self::Tokens {
                train,
                val,
                tokenizer,
                val_fraction,
                raw: _,
            } => {
                if train.is_empty() {
                    report("train", "must name at least one file".to_owned());
                }
                for (key, paths) in [("train", train), ("val", val)] {
                    for (index, path) in paths.iter().enumerate() {
                        not_empty(&format!("{key}.{index}"), path, report);
                    }
                }
                tokenizer.validate(report);
                if matches!(tokenizer, TokenizerConfig::Bpe { .. }) {
                    let message = "must be `file` or `bytes`, whichever made the tokens: there is no text to train a \
                                   BPE on";
                    report("tokenizer.kind", message.to_owned());
                }
                if let Some(message) = val_fraction_violation(*val_fraction) {
                    report("val_fraction", message);
                }
            }
            Self::Mixture { sources } => validate_mixture(sources, report),
            Self::WordProblem { group, curriculum } => {
                group.validate(report);
                curriculum.validate(MAX_SEQ, report);
            }
            Self::Arithmetic {
                modulus,
                seq,
                curriculum,
            } => {
                if !(2..=256).contains(modulus) {
                    let message = format!("must lie between 2 and 256, is {modulus}");
                    report("modulus", message);
                }
                curriculum.validate(MAX_TREE_DEPTH, report);
                let tree = tree_tokens(curriculum.max.min(MAX_TREE_DEPTH));
                if !(tree..=MAX_SEQ).contains(seq) {
                    let message = format!(
                        "must lie between {tree}, one tree of depth curriculum.max = {}, and \
                         {MAX_SEQ}, is {seq}",
                        curriculum.max
                    );
                    report("seq", message);
                }
            }
        }
    }

    /// Returns every violation in one line, or `None`.
    pub(crate) fn violations(&self) -> Option<String> {
        let mut lines = Vec::new();
        self.validate(&mut |key, message| lines.push(format!("{key}: {message}")));
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

/// Reports every rule that files of the Hub break.
fn validate_hub(hub: &HubFiles, paths: &[String], report: Report<'_>) {
    if !paths.is_empty() {
        report(
            "hub",
            "takes the place of paths: give one of the two".to_owned(),
        );
    }
    not_empty("hub.repo", &hub.repo, report);
    not_empty("hub.revision", &hub.revision, report);
    if hub.files.is_empty() {
        report("hub.files", "must name at least one file".to_owned());
    }
    for (index, file) in hub.files.iter().enumerate() {
        not_empty(&format!("hub.files.{index}"), file, report);
    }
}

/// Reports every rule that the sources of a mixture break.
fn validate_mixture(sources: &[MixtureSource], report: Report<'_>) {
    if sources.is_empty() {
        report("sources", "must have at least one source".to_owned());
    }
    let mut weights = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let key = |key: &str| format!("sources.{index}.{key}");
        let name = &source.name;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(is_word) {
            let message = format!("must be letters, digits, `-` and `_`, is `{name}`");
            report(&key("name"), message);
        }
        if sources[..index].iter().any(|before| before.name == *name) {
            report(
                &key("name"),
                format!("`{name}` is the name of an earlier source"),
            );
        }
        match source.weight > 0.0 && source.weight.is_finite() {
            true => weights.push(source.weight),
            false => report(
                &key("weight"),
                format!("must be above 0, is {}", source.weight),
            ),
        }
        match &source.data {
            DataConfig::Text { .. } | DataConfig::Prepared { .. } | DataConfig::Tokens { .. } => {
                source
                    .data
                    .validate(&mut |path, message| report(&key(&format!("data.{path}")), message));
            }
            _ => report(
                &key("data.kind"),
                "must be `text`, `prepared` or `tokens`".to_owned(),
            ),
        }
    }
    if weights.len() == sources.len()
        && let Err(least) = Mixture::new(&weights)
    {
        let message = format!(
            "must be at least half a thousandth of the sum: a block of {BLOCK} rows would have no row of this source"
        );
        report(&format!("sources.{least}.weight"), message);
    }
}

/// Returns what is wrong with a share of validation text, or `None`.
pub(crate) fn val_fraction_violation(fraction: f64) -> Option<String> {
    let holds = fraction > 0.0 && fraction <= 0.5;
    (!holds).then(|| format!("must lie above 0 and not above 0.5, is {fraction}"))
}

impl TokenizerConfig {
    /// Smallest vocabulary of a byte-level BPE: the bytes and the end of a text.
    const MIN_VOCAB: usize = 257;
    /// Largest vocabulary that is trained here.
    const MAX_VOCAB: usize = 1 << 20;

    /// Returns the tokenizer of a file, whose end of text is the one that is named beside it or known.
    pub(crate) fn of_file(path: &Path) -> Self {
        Self::File {
            path: path.display().to_string(),
            end_of_text: None,
        }
    }

    /// Reports every rule that is broken, each with its key path below `[data]`.
    pub(crate) fn validate(&self, report: Report<'_>) {
        match self {
            Self::Bytes {} => {}
            Self::Bpe { vocab_size } => {
                if !(Self::MIN_VOCAB..=Self::MAX_VOCAB).contains(vocab_size) {
                    let message = format!(
                        "must lie between {} (the 256 bytes and the end of a text) and {}, \
                         is {vocab_size}",
                        Self::MIN_VOCAB,
                        Self::MAX_VOCAB
                    );
                    report("tokenizer.vocab_size", message);
                }
            }
            Self::File { path, end_of_text } => {
                not_empty("tokenizer.path", path, report);
                if let Some(name) = end_of_text {
                    not_empty("tokenizer.end_of_text", name, report);
                }
            }
        }
    }
}

fn not_empty(key: &str, value: &str, report: Report<'_>) {
    if value.is_empty() {
        report(key, "must not be empty".to_owned());
    }
}

#[cfg(test)]
mod tests;
