//! Prompts: texts in which names of special tokens can be read as tokens, with an optional first
//! token.
//!
//! In a corpus, names of special tokens are ordinary text, and documents have no first token.
//! [`Tokenizer::with_special`] and [`Tokenizer::with_opening`] return a tokenizer with the setting
//! changed; its hash stays the same.

use tokenizers::{Encoding, PostProcessor, Token};

use super::end_of_text::END_OF_TEXT;
use super::{Kind, Tokenizer, guarded};
use crate::error::DataError;

impl Tokenizer {
    /// Sets whether names of special tokens in a text are read as tokens (`special`) or as ordinary
    /// text.
    #[must_use]
    pub fn with_special(mut self, special: bool) -> Self {
        self.special = special;
        if let Kind::File { inner, .. } = &mut self.kind {
            inner.set_encode_special_tokens(!special);
        }
        self
    }

    /// Sets the tokens that are put before every prompt and document. A text that already begins
    /// with these tokens stays as it is.
    #[must_use]
    pub fn with_opening(mut self, opening: Vec<u32>) -> Self {
        self.opening = opening;
        self
    }

    /// Returns the tokens to put before a text whose own first tokens are `first`. By default,
    /// none.
    pub(crate) fn opening_of(&self, first: &[u32]) -> &[u32] {
        match first.starts_with(&self.opening) {
            true => &[],
            false => &self.opening,
        }
    }

    /// Returns the tokens of a prompt, preceded by those of [`Tokenizer::with_opening`].
    ///
    /// # Errors
    ///
    /// The errors of [`Tokenizer::encode`].
    pub fn encode_prompt(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let tokens = self.encode(text)?;
        Ok([self.opening_of(&tokens), &tokens].concat())
    }

    /// Returns whether the tokenizer's files say that the name of a special token in a text is
    /// ordinary text.
    pub fn splits_special(&self) -> bool {
        self.beside.split_special
    }

    /// Returns the tokens that the tokenizer's files put before a text: the tokens of the
    /// post-processor, or the token for `add_bos_token` of `tokenizer_config.json`.
    pub fn own_opening(&self) -> Vec<u32> {
        let Kind::File { inner, .. } = &self.kind else {
            return Vec::new();
        };
        if self.beside.add_bos == Some(false) {
            return Vec::new();
        }
        let text = Encoding::from_tokens(vec![Token::new(0, String::new(), (0, 0))], 0);
        let processed = inner
            .get_post_processor()
            .and_then(|processor| guarded(|| processor.process(text, None, true)).ok());
        let opening: Vec<u32> = processed
            .map(|encoding| {
                let ids = encoding.get_ids().iter();
                let special = encoding.get_special_tokens_mask().iter();
                let before = ids.zip(special).take_while(|(_, special)| **special == 1);
                before.map(|(id, _)| *id).collect()
            })
            .unwrap_or_default();
        if opening.is_empty() && self.beside.add_bos == Some(true) {
            let bos = self.beside.bos.as_deref();
            return bos
                .and_then(|name| inner.token_to_id(name))
                .into_iter()
                .collect();
        }
        opening
            .into_iter()
            .filter(|id| (*id as usize) < self.vocab_size)
            .collect()
    }
}

/// Returns the tokens of a text as bytes; with `special`, the name of the token that ends a text is
/// read as that token.
pub(super) fn bytes_of(text: &str, special: bool) -> Vec<u32> {
    let plain = |part: &str| part.bytes().map(u32::from).collect::<Vec<u32>>();
    if !special {
        return plain(text);
    }
    let parts: Vec<Vec<u32>> = text.split(END_OF_TEXT).map(plain).collect();
    parts.join(&256)
}
