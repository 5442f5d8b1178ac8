//! Converts a stream of tokens to text, without any text that a later token could change.

use rondo_data::Tokenizer;

use crate::error::Result;

/// Converts tokens to text, piece by piece.
///
/// A token can contain a part of a character, and some tokenizers decode the first token of a text
/// differently. The tokens since the last whole piece are therefore decoded together with this
/// piece, and only the text after the piece is new.
///
/// Some tokenizers represent unknown characters by byte tokens. A run of these is decoded only when
/// it has ended, because one broken byte changes the text of the whole run.
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    /// The tokens of the last whole piece, and the tokens after it.
    tokens: Vec<u32>,
    /// The number of tokens in the last whole piece.
    piece: usize,
}

impl<'a> TextStream<'a> {
    /// Starts with the tokens `context`, which stand just before the first new token. A token of
    /// the context that is not in the tokenizer's vocabulary has no text.
    pub fn new(tokenizer: &'a Tokenizer, context: &[u32]) -> Self {
        Self {
            tokenizer,
            tokens: context.to_vec(),
            piece: context.len(),
        }
    }

    /// Adds a token. Returns the new text that later tokens cannot change.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn push(&mut self, token: u32) -> Result<String> {
        self.tokens.push(token);
        let (all, new) = self.read()?;
        let may_change = all.ends_with('\u{fffd}') || self.tokenizer.ends_in_bytes(&self.tokens);
        if may_change || new.is_empty() {
            return Ok(String::new());
        }
        self.tokens.drain(..self.piece);
        self.piece = self.tokens.len();
        Ok(new)
    }

    /// Returns the remaining text, with broken characters replaced.
    ///
    /// # Errors
    ///
    /// The errors of [`Self::push`].
    pub fn finish(self) -> Result<String> {
        Ok(self.read()?.1)
    }

    /// Returns the text of all tokens held, and the part of this text that is not yet in the text
    /// of the last piece. A piece can end within a character, which then decodes to a replacement
    /// character. The tokens after the piece complete the character.
    fn read(&self) -> Result<(String, String)> {
        let before = self.tokenizer.decode_known(&self.tokens[..self.piece])?;
        let all = self.tokenizer.decode_known(&self.tokens)?;
        let same = before.chars().zip(all.chars());
        let same = same.take_while(|(one, other)| one == other);
        let shown: usize = same.map(|(one, _)| one.len_utf8()).sum();
        let new = all[shown..].to_owned();
        Ok((all, new))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn pieces(tokens: &[u32]) -> Vec<String> {
        after(&[], tokens)
    }

    fn after(context: &[u32], tokens: &[u32]) -> Vec<String> {
        let tokenizer = Tokenizer::bytes();
        let mut stream = TextStream::new(&tokenizer, context);
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
    fn the_pieces_of_odd_texts_and_odd_ids_are_the_text_of_the_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tokenizers");
        let read = |name: String| fs::read(folder.join(name)).expect("a file");
        for name in [
            "byte-level",
            "byte-level-split",
            "unigram",
            "metaspace-bpe",
            "prepends-a-space",
            "word-pieces",
            "chat",
        ] {
            let tokenizer = Tokenizer::load(&folder.join(format!("{name}.json"))).expect(name);
            let texts: Vec<(Vec<u32>, Vec<u32>, String)> =
                serde_json::from_slice(&read(format!("{name}.values.json"))).expect(name);
            let ids: Vec<(Vec<u32>, String)> =
                serde_json::from_slice(&read(format!("{name}.decoded.json"))).expect(name);
            let texts = texts.into_iter().map(|(_, tokens, text)| (tokens, text));
            for (tokens, text) in texts.chain(ids) {
                let mut stream = TextStream::new(&tokenizer, &[]);
                let mut pieces = String::new();
                for token in &tokens {
                    pieces += &stream.push(*token).expect(name);
                }
                pieces += &stream.finish().expect(name);
                assert_eq!(pieces, text, "{name}: {tokens:?}");
            }
        }
    }

    #[test]
    fn a_broken_end_is_shown_at_the_end() {
        assert_eq!(pieces(&[97, 0xc3]), ["a", "", "\u{fffd}"]);
    }

    #[test]
    fn a_character_that_the_context_began_comes_whole() {
        assert_eq!(after(&[97, 0xc3], &[0xa9, 98]), ["é", "b", ""]);
        // A crab has four bytes. The context contains one, two or three of them.
        let crab = [0xf0, 0x9f, 0xa6, 0x80];
        for given in 1..4 {
            let text = after(&crab[..given], &[&crab[given..], &[33]].concat()).concat();
            assert_eq!(text, "🦀!", "{given}");
        }
        assert_eq!(after(&[0xc3], &[98]), ["b", ""]);
        assert_eq!(after(&[97, 0xc3], &[]), [""]);
    }

    #[test]
    fn a_replacement_character_of_the_context_is_not_shown_again() {
        let given = "a\u{fffd}".bytes().map(u32::from).collect::<Vec<_>>();
        assert_eq!(after(&given, &[98, 99]), ["b", "c", ""]);
    }

    #[test]
    fn tokens_of_the_context_that_have_no_text_change_nothing() {
        assert_eq!(
            after(&[300, 97, 4_000_000], &[98, 0xc3, 0xa9]),
            ["b", "", "é", ""]
        );
        assert_eq!(after(&[300], &[98]), ["b", ""]);
    }
}
