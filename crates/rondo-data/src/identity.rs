//! What tells one tokenized corpus from another: kept by a run, so that other data under it is noticed.

use serde::{Deserialize, Serialize};

use crate::text::TextData;

/// Which tokens a text has become, and by which tokenizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusIdentity {
    /// BLAKE3 of the tokenizer, in hexadecimal.
    pub tokenizer_hash: String,
    /// BLAKE3 of the documents, in hexadecimal: `corpus_hash` of `corpus.json`.
    pub corpus_hash: String,
    /// BLAKE3 of the training and validation tokens, in hexadecimal: another split of the same documents has
    /// another one.
    pub tokens_hash: String,
    /// Training tokens.
    pub train_tokens: u64,
    /// Validation tokens.
    pub val_tokens: u64,
}

impl CorpusIdentity {
    /// Says how `now` differs from this corpus; none where it is the same one.
    pub fn difference(&self, now: &Self) -> Option<String> {
        if self == now {
            return None;
        }
        let mut parts = Vec::new();
        if self.tokenizer_hash != now.tokenizer_hash {
            parts.push("another tokenizer".to_owned());
        }
        parts.push(match self.corpus_hash == now.corpus_hash {
            true => format!(
                "the same documents (corpus_hash {}…)",
                short(&now.corpus_hash)
            ),
            false => format!(
                "other documents (corpus_hash {}…, now {}…)",
                short(&self.corpus_hash),
                short(&now.corpus_hash)
            ),
        });
        for (part, before, now) in [
            ("training", self.train_tokens, now.train_tokens),
            ("validation", self.val_tokens, now.val_tokens),
        ] {
            parts.push(match before == now {
                true => format!("{now} {part} tokens"),
                false => format!("{before} {part} tokens, now {now}"),
            });
        }
        Some(parts.join(", "))
    }
}

/// Returns the beginning of a hash, as it is shown.
fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

impl TextData {
    /// Returns what tells this corpus from another.
    pub fn identity(&self) -> CorpusIdentity {
        let mut tokens = blake3::Hasher::new();
        for checksum in self.checksums() {
            tokens.update(&checksum);
        }
        let info = self.info();
        CorpusIdentity {
            tokenizer_hash: info.tokenizer_hash.clone(),
            corpus_hash: info.corpus_hash.clone(),
            tokens_hash: tokens.finalize().to_hex().to_string(),
            train_tokens: info.train_tokens,
            val_tokens: info.val_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(documents: &str, tokens: &str, val_tokens: u64) -> CorpusIdentity {
        CorpusIdentity {
            tokenizer_hash: "0123".to_owned(),
            corpus_hash: documents.to_owned(),
            tokens_hash: tokens.to_owned(),
            train_tokens: 900,
            val_tokens,
        }
    }

    #[test]
    fn what_differs_is_told_and_what_is_equal_is_not_called_different() {
        let before = corpus("aaaaaaaabb", "1", 100);
        assert_eq!(before.difference(&before.clone()), None);
        let edited = before.difference(&corpus("ccccccccdd", "2", 120));
        assert_eq!(
            edited.as_deref(),
            Some(
                "other documents (corpus_hash aaaaaaaa…, now cccccccc…), 900 training tokens, \
                 100 validation tokens, now 120"
            )
        );
        let split = before.difference(&corpus("aaaaaaaabb", "2", 90));
        assert!(split.is_some_and(|said| said.starts_with("the same documents (")));
    }
}
