//! From texts to a token file: cut into pieces, encoded together, written in order.

use std::path::Path;

use crate::corpus::{Corpus, CorpusSource};
use crate::error::DataError;
use crate::shards::ShardWriter;
use crate::tokenizer::Tokenizer;

/// Text is encoded in pieces of about this size, so that one long document is spread over the
/// cores and no batch of encodings grows large.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces are gathered up to this size before they are encoded together.
const GATHERED_BYTES: usize = 1 << 20;

/// Cuts a text into pieces that encode as the whole does.
///
/// A cut goes behind a line break with a visible character on both sides, where a byte-level
/// pre-tokenizer cuts too. A text without such a place stays whole.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bytes = rest.as_bytes();
        let cut = (PIECE_BYTES..bytes.len())
            .find(|&at| {
                bytes[at - 1] == b'\n'
                    && bytes[at].is_ascii_graphic()
                    && bytes[at - 2].is_ascii_graphic()
            })
            .unwrap_or(bytes.len());
        let (piece, behind) = rest.split_at(cut);
        rest = behind;
        Some(piece)
    })
}

/// What a part came to.
pub(crate) struct Encoded {
    /// Bytes of text.
    pub(crate) bytes: u64,
    /// Tokens, with those that end a text.
    pub(crate) tokens: u64,
}

/// Gathers texts and encodes them together, in order, each followed by the end-of-text token.
pub(crate) struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    writer: ShardWriter,
    /// Pieces with whether each ends its text.
    gathered: Vec<(String, bool)>,
    gathered_bytes: usize,
    bytes: u64,
}

impl<'a> Encoder<'a> {
    pub(crate) fn create(path: &Path, tokenizer: &'a Tokenizer) -> Result<Self, DataError> {
        Ok(Self {
            tokenizer,
            writer: ShardWriter::create(path, tokenizer.vocab_size(), tokenizer.hash())?,
            gathered: Vec::new(),
            gathered_bytes: 0,
            bytes: 0,
        })
    }

    pub(crate) fn push(&mut self, text: &str) -> Result<(), DataError> {
        self.bytes += text.len() as u64;
        let mut pieces = pieces(text).peekable();
        while let Some(piece) = pieces.next() {
            let last = pieces.peek().is_none();
            self.gathered.push((piece.to_owned(), last));
            self.gathered_bytes += piece.len();
            if self.gathered_bytes >= GATHERED_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DataError> {
        let texts = self
            .gathered
            .iter()
            .map(|(text, _)| text.as_str())
            .collect();
        let mut ends = self.gathered.iter().map(|&(_, last)| last);
        let mut all = Vec::new();
        self.tokenizer.encode_batch(texts, |tokens| {
            all.extend_from_slice(tokens);
            if ends.next() == Some(true) {
                all.push(self.tokenizer.end_of_text());
            }
        })?;
        self.writer.push(&all)?;
        self.gathered.clear();
        self.gathered_bytes = 0;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Encoded, DataError> {
        self.flush()?;
        Ok(Encoded {
            bytes: self.bytes,
            tokens: self.writer.finish()?,
        })
    }
}

/// Tokenizes a text, its documents one after the other, and returns the tokens with the bytes they
/// stand for. Reads no document after the one that completes `max_tokens`.
///
/// # Errors
///
/// When the text cannot be read or holds no document.
pub fn encode_source(
    tokenizer: &Tokenizer,
    source: &CorpusSource,
    max_tokens: Option<usize>,
) -> Result<(Vec<u32>, u64), DataError> {
    let corpus = Corpus::open(source)?;
    let (mut tokens, mut bytes) = (Vec::new(), 0);
    corpus.for_each(None, &mut |_, _| Ok(()), &mut |document| {
        if max_tokens.is_none_or(|most| tokens.len() < most) {
            tokens.extend(tokenizer.encode_prompt(document)?);
            tokens.push(tokenizer.end_of_text());
            bytes += document.len() as u64;
        }
        Ok(())
    })?;
    if tokens.is_empty() {
        return Err(DataError::Corpus(
            "the text to evaluate holds no document".to_owned(),
        ));
    }
    Ok((tokens, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpe::{self, WordCounts};

    #[test]
    fn pieces_make_up_the_text_and_do_not_change_its_words() {
        let line = "let x = 1;\n\n    fn y() {\n}\nz\n";
        let text = line.repeat(3 * PIECE_BYTES / line.len());
        let parts: Vec<&str> = pieces(&text).collect();
        assert!(parts.len() >= 2);
        assert_eq!(parts.concat(), text);
        let counts = |texts: &[&str]| {
            let mut words = WordCounts::default();
            for text in texts {
                words.add(text).expect("any text");
            }
            bpe::train(&words, 300, &mut |_, _| Ok(())).expect("any text")
        };
        let (whole, cut) = (counts(&[&text]), counts(&parts));
        assert_eq!(whole.json(), cut.json());
        let joined: Vec<u32> = parts
            .iter()
            .flat_map(|part| whole.encode(part).expect("any text"))
            .collect();
        assert_eq!(whole.encode(&text).expect("any text"), joined);
    }
}
