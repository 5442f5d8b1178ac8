//! The rules of the `[data]` section; every violation is reported with its key.

use rondo_config::Report;

use super::{DataConfig, MixtureSource, TokenizerConfig};
use crate::hub::HubFiles;
use crate::mixture::{BLOCK, Mixture};
use crate::tasks::{MAX_SEQ, MAX_TREE_DEPTH, tree_tokens};

impl DataConfig {
    /// Reports every violated rule with its key path below `[data]`.
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
                document_mask: _,
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
            Self::Prepared {
                path,
                document_mask: _,
            } => not_empty("path", path, report),
            Self::Tokens {
                train,
                val,
                tokenizer,
                val_fraction,
                raw: _,
                document_mask: _,
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
            Self::Mixture {
                sources,
                document_mask: _,
            } => validate_mixture(sources, report),
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

/// Reports every rule that the files of the Hub violate.
fn validate_hub(hub: &HubFiles, paths: &[String], report: Report<'_>) {
    if !paths.is_empty() {
        report(
            "hub",
            "takes the place of paths: give one of the two".to_owned(),
        );
    }
    if !is_repository(&hub.repo) {
        let message = format!(
            "must be OWNER/NAME, as the Hub shows it above a data set, is `{}`",
            hub.repo
        );
        report("hub.repo", message);
    }
    not_empty("hub.revision", &hub.revision, report);
    if hub.files.is_empty() {
        report("hub.files", "must name at least one file".to_owned());
    }
    for (index, file) in hub.files.iter().enumerate() {
        not_empty(&format!("hub.files.{index}"), file, report);
    }
}

/// Returns whether a text can be the name of a repository. Old repositories have no owner.
fn is_repository(text: &str) -> bool {
    let is_name = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && part.chars().all(known) && !part.chars().all(|c| c == '.')
    };
    text.split('/').count() <= 2 && text.split('/').all(is_name)
}

/// Reports every rule that the sources of a mixture violate.
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
                if source.data.document_mask() {
                    let message = "is one key for the whole mixture: move it out of the sources, beside `sources`";
                    report(&key("data.document_mask"), message.to_owned());
                }
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

/// Returns what is wrong with a validation share, or `None`.
pub(crate) fn val_fraction_violation(fraction: f64) -> Option<String> {
    let holds = fraction > 0.0 && fraction <= 0.5;
    (!holds).then(|| format!("must lie above 0 and not above 0.5, is {fraction}"))
}

impl TokenizerConfig {
    /// Smallest vocabulary of a byte-level BPE: the bytes and the end of a text.
    const MIN_VOCAB: usize = 257;
    /// Largest vocabulary that this crate trains.
    const MAX_VOCAB: usize = 1 << 20;

    /// Reports every violated rule with its key path below `[data]`.
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
