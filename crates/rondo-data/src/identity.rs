//! The identity of a tokenized corpus. A run stores it, so that a resume with other data is
//! noticed.

use serde::{Deserialize, Serialize};

use crate::config::MixtureSource;
use crate::text::{TextData, TextSource};
use crate::tokenizer::Tokenizer;

/// The hashes of a text's tokens and of its tokenizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusIdentity {
    /// BLAKE3 of the tokenizer, in hexadecimal.
    pub tokenizer_hash: String,
    /// BLAKE3 of the documents, in hexadecimal: `corpus_hash` of `corpus.json`.
    pub corpus_hash: String,
    /// BLAKE3 of the training and validation tokens, in hexadecimal. A different split of the same
    /// documents changes this hash.
    pub tokens_hash: String,
    /// The number of training tokens.
    pub train_tokens: u64,
    /// The number of validation tokens.
    pub val_tokens: u64,
}

impl CorpusIdentity {
    pub(crate) fn new(tokenizer: &Tokenizer, corpus_hash: String, source: &TextSource) -> Self {
        Self {
            tokenizer_hash: blake3::Hash::from_bytes(tokenizer.hash())
                .to_hex()
                .to_string(),
            corpus_hash,
            tokens_hash: Self::hash_of_tokens(source),
            train_tokens: source.train.len() as u64,
            val_tokens: source.val.len() as u64,
        }
    }

    /// Returns the identity of a mixture, from its sources in order and their weights.
    pub(crate) fn mixed(sources: &[MixtureSource], texts: &[TextData]) -> Self {
        let (mut corpus, mut tokens) = (blake3::Hasher::new(), blake3::Hasher::new());
        let mut whole = Self {
            tokenizer_hash: String::new(),
            corpus_hash: String::new(),
            tokens_hash: String::new(),
            train_tokens: 0,
            val_tokens: 0,
        };
        for (source, text) in sources.iter().zip(texts) {
            let one = text.identity();
            corpus.update(one.corpus_hash.as_bytes());
            tokens.update(format!("{:?} {}", source.weight, one.tokens_hash).as_bytes());
            whole.tokenizer_hash = one.tokenizer_hash;
            whole.train_tokens += one.train_tokens;
            whole.val_tokens += one.val_tokens;
        }
        whole.corpus_hash = corpus.finalize().to_hex().to_string();
        whole.tokens_hash = tokens.finalize().to_hex().to_string();
        whole
    }

    /// Returns the BLAKE3 of the checksums of the training and validation tokens.
    pub(crate) fn hash_of_tokens(source: &TextSource) -> String {
        let mut tokens = blake3::Hasher::new();
        for part in [&source.train, &source.val] {
            tokens.update(&part.checksum());
        }
        tokens.finalize().to_hex().to_string()
    }

    /// Describes how `now` differs from this corpus; `None` if they are equal.
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

/// Returns the first digits of a hash, as messages show it.
fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
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
