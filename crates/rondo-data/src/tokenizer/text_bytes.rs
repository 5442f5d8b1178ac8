//! The number of UTF-8 bytes that tokens stand for, and whether later tokens can change the text.

use std::collections::{BTreeMap, BTreeSet};

use tokenizers::decoders::DecoderWrapper;

use super::{Kind, Tokenizer};
use crate::bpe::byte_characters;
use crate::error::DataError;

impl Tokenizer {
    /// Returns the number of bytes of text for tokens in the middle of a text; tokens that end a
    /// text count as 0 bytes.
    ///
    /// The number is exact for bytes and for byte-level tokenizers. For other tokenizers, it is the
    /// length that each token adds to the decoded text of another token in front of it; text that a
    /// normaliser removed is not counted.
    ///
    /// # Errors
    ///
    /// When a token is outside the vocabulary or the tokenizer of a file fails.
    pub fn text_bytes(&self, tokens: impl Iterator<Item = u32>) -> Result<u64, DataError> {
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for token in tokens {
            *counts.entry(token).or_default() += 1;
        }
        let ids: Vec<u32> = counts.keys().copied().collect();
        self.check(&ids)?;
        counts.remove(&self.end_of_text());
        let inner = match &self.kind {
            Kind::Bytes => return Ok(counts.values().sum()),
            Kind::File { inner, .. } => inner,
        };
        let added = inner.get_added_tokens_decoder();
        let is_byte_level = inner.get_decoder().is_some_and(is_byte_level);
        let alphabet: BTreeSet<char> = byte_characters().into_iter().collect();
        let before = self.before()?;
        let length_before = self.decode(&before)?.len();
        let mut bytes = 0;
        for (&id, &count) in &counts {
            let spelling = inner.id_to_token(id).unwrap_or_default();
            let length = match added.get(&id) {
                Some(added) if added.special => 0,
                Some(_) => spelling.len(),
                None if is_byte_level && spelling.chars().all(|c| alphabet.contains(&c)) => {
                    spelling.chars().count()
                }
                None => {
                    let text = self.decode(&[before.as_slice(), &[id]].concat())?;
                    // A single byte token decodes to a replacement character of three bytes.
                    match is_one_byte(&spelling) && !text.ends_with(&spelling) {
                        true => 1,
                        false => text.len().saturating_sub(length_before),
                    }
                }
            };
            bytes += count * length as u64;
        }
        Ok(bytes)
    }

    /// Returns whether further tokens can change the decoded text of these tokens, even if the text
    /// ends with a whole character.
    ///
    /// Byte fallback decodes a run of bytes as a whole: if one byte is invalid, all become
    /// replacement characters.
    pub fn ends_in_bytes(&self, tokens: &[u32]) -> bool {
        let Kind::File { inner, .. } = &self.kind else {
            return false;
        };
        if !inner.get_decoder().is_some_and(has_byte_fallback) {
            return false;
        }
        let added = inner.get_added_vocabulary();
        // Special tokens have no text and do not end a run.
        let with_text = |id: &u32| {
            let spelling = inner.id_to_token(*id)?;
            (!added.is_special_token(&spelling)).then_some(spelling)
        };
        let last = tokens.iter().rev().find_map(with_text);
        last.is_some_and(|spelling| is_one_byte(&spelling))
    }

    /// Returns a token to put before another token, so that the second one decodes as it does
    /// inside a text. Empty if there is no such token.
    fn before(&self) -> Result<Vec<u32>, DataError> {
        for id in 0..self.vocab_size as u32 {
            let text = self.decode(&[id])?;
            if !text.is_empty() && text.chars().all(char::is_alphanumeric) {
                return Ok(vec![id]);
            }
        }
        Ok(Vec::new())
    }
}

fn is_byte_level(decoder: &DecoderWrapper) -> bool {
    match decoder {
        DecoderWrapper::ByteLevel(_) => true,
        DecoderWrapper::Sequence(parts) => parts.get_decoders().iter().any(is_byte_level),
        _ => false,
    }
}

fn has_byte_fallback(decoder: &DecoderWrapper) -> bool {
    match decoder {
        DecoderWrapper::ByteFallback(_) => true,
        DecoderWrapper::Sequence(parts) => parts.get_decoders().iter().any(has_byte_fallback),
        _ => false,
    }
}

/// Returns whether a token is spelt `<0xHH>`, as byte fallback spells bytes.
fn is_one_byte(spelling: &str) -> bool {
    let digits = spelling
        .strip_prefix("<0x")
        .and_then(|rest| rest.strip_suffix('>'));
    digits.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}
