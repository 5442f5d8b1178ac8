//! Text as its tokens come: nothing is printed that a later token could change.

use rondo_data::Tokenizer;

use crate::error::Result;

/// Turns tokens into text piece by piece.
///
/// A token can hold a part of a character, and some tokenizers treat the first token of a text
/// otherwise; so the tokens since the last whole piece are decoded together with that piece, and
/// what follows it is new.
pub(crate) struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    /// The last whole piece and what has come since.
    tokens: Vec<u32>,
    /// How many of them are the piece.
    piece: usize,
}

impl<'a> TextStream<'a> {
    /// Starts after `context`, the last tokens before the first new one.
    pub(crate) fn new(tokenizer: &'a Tokenizer, context: &[u32]) -> Self {
        Self {
            tokenizer,
            tokens: context.to_vec(),
            piece: context.len(),
        }
    }

    /// Takes in a token and returns the text that is certain now.
    ///
    /// # Errors
    ///
    /// Where the tokenizer does not know the token.
    pub(crate) fn push(&mut self, token: u32) -> Result<String> {
        self.tokens.push(token);
        let before = self.tokenizer.decode(&self.tokens[..self.piece])?;
        let all = self.tokenizer.decode(&self.tokens)?;
        if all.ends_with('\u{fffd}') || all.len() <= before.len() {
            return Ok(String::new());
        }
        self.tokens.drain(..self.piece);
        self.piece = self.tokens.len();
        Ok(all.get(before.len()..).unwrap_or_default().to_owned())
    }

    /// Returns what is left, broken characters replaced.
    ///
    /// # Errors
    ///
    /// As [`Self::push`].
    pub(crate) fn finish(self) -> Result<String> {
        let before = self.tokenizer.decode(&self.tokens[..self.piece])?;
        let all = self.tokenizer.decode(&self.tokens)?;
        Ok(all.get(before.len()..).unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(tokens: &[u32]) -> Vec<String> {
        let tokenizer = Tokenizer::bytes();
        let mut stream = TextStream::new(&tokenizer, &[]);
        let mut pieces: Vec<String> = tokens
            .iter()
            .map(|token| stream.push(*token).expect("a byte"))
            .collect();
        pieces.push(stream.finish().expect("bytes"));
        pieces
    }

    #[test]
    fn a_character_of_two_bytes_comes_when_it_is_whole() {
        assert_eq!(pieces(&[97, 0xc3, 0xa9, 98]), ["a", "", "é", "b", ""]);
    }

    #[test]
    fn a_broken_end_is_shown_at_the_end() {
        assert_eq!(pieces(&[97, 0xc3]), ["a", "", "\u{fffd}"]);
    }
}
