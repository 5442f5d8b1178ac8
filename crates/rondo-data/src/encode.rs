//! Encodes texts: cuts them into pieces, encodes the pieces in parallel, and returns the tokens in
//! order.

use rayon::prelude::*;

use crate::corpus::{Corpus, CorpusSource, Span};
use crate::cut::{Cutter, Start};
use crate::documents::{Stop, Then};
use crate::error::DataError;
use crate::tokenizer::Tokenizer;

/// Pieces are gathered until they have this many bytes of text together. Then they are encoded.
const GATHERED_BYTES: usize = 1 << 20;

/// If a number of tokens is requested, at least this many bytes of text are read first. They are
/// enough for several pieces.
const FIRST_BYTES: u64 = 256 << 10;

/// For each requested token, this many bytes of text are read first.
const BYTES_PER_TOKEN: u64 = 8;

/// A piece of a document, to be encoded.
pub(crate) struct Gathered {
    pub(crate) text: String,
    start: Start,
    /// Whether the document begins here.
    begins: bool,
    /// Whether the end-of-text token follows the piece.
    pub(crate) ends: bool,
}

/// Cuts documents into pieces.
pub(crate) struct Gatherer<'a> {
    cutter: Cutter<'a, Tokenizer>,
    begins: bool,
}

impl<'a> Gatherer<'a> {
    pub(crate) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self {
            cutter: Cutter::new(tokenizer),
            begins: true,
        }
    }

    /// Adds the next part of a document to the pieces. If the document is cut, the tokens at its
    /// end are not known, so its last piece is dropped and no end-of-text token is added.
    pub(crate) fn push(&mut self, text: &str, then: Then, pieces: &mut Vec<Gathered>) {
        self.cutter.push(text);
        let first = pieces.len();
        while let Some(piece) = self.cutter.next(then != Then::GoesOn) {
            let mut text = piece.text;
            if piece.start == Start::WithoutSpace {
                text.remove(0);
            }
            pieces.push(Gathered {
                text,
                start: piece.start,
                begins: self.begins,
                ends: false,
            });
            self.begins = false;
        }
        if then == Then::GoesOn {
            return;
        }
        self.begins = true;
        match then {
            Then::IsCut if pieces.len() > first => {
                pieces.pop();
            }
            Then::Ends => match pieces[first..].last_mut() {
                Some(last) => last.ends = true,
                // All pieces were taken before the end of the document was known, so an empty piece
                // marks the end.
                None => pieces.push(Gathered {
                    text: String::new(),
                    start: Start::Plain,
                    begins: false,
                    ends: true,
                }),
            },
            Then::IsCut | Then::GoesOn => {}
        }
    }
}

/// Encodes pieces on all threads. Returns the tokens of each piece, including the opening of its
/// document and the end-of-text token, where the piece has them.
pub(crate) fn encode_pieces(
    tokenizer: &Tokenizer,
    pieces: &[Gathered],
) -> Result<Vec<Vec<u32>>, DataError> {
    let encode = |piece: &Gathered| {
        let mut all = Vec::new();
        if !piece.text.is_empty() {
            let tokens = tokenizer.encode(&piece.text)?;
            if piece.begins {
                all.extend_from_slice(tokenizer.opening_of(&tokens));
            }
            let first = usize::from(piece.start == Start::WithoutToken);
            all.extend_from_slice(&tokens[first..]);
        }
        if piece.ends {
            all.push(tokenizer.end_of_text());
        }
        Ok(all)
    };
    // If several pieces cannot be encoded, the error names the first.
    let encoded: Vec<Result<Vec<u32>, DataError>> = pieces.par_iter().map(encode).collect();
    encoded.into_iter().collect()
}

/// A text as tokens.
#[derive(Clone, Debug)]
pub struct EncodedText {
    /// The tokens of its documents, each followed by the end-of-text token.
    pub tokens: Vec<u32>,
    /// The number of bytes of text that were encoded.
    pub bytes: u64,
    /// What the user should know about the text, one line each.
    pub warnings: Vec<String>,
}

/// Tokenizes a text, one document after another. With `max_tokens` it reads and encodes little more
/// text than needed, and returns at most that many tokens.
///
/// # Errors
///
/// When the text cannot be read or holds no document.
pub fn encode_source(
    tokenizer: &Tokenizer,
    source: &CorpusSource,
    max_tokens: Option<usize>,
) -> Result<EncodedText, DataError> {
    let corpus = Corpus::open(source)?;
    let first = |most| FIRST_BYTES.max((most as u64).saturating_mul(BYTES_PER_TOKEN));
    let mut max_bytes = max_tokens.map(first);
    loop {
        let (mut encoded, full) = encode_up_to(tokenizer, &corpus, max_bytes)?;
        let wanted = max_tokens.unwrap_or(usize::MAX);
        if encoded.tokens.len() < wanted && full {
            max_bytes = max_bytes.map(|bytes| bytes.saturating_mul(4));
            continue;
        }
        if encoded.tokens.is_empty() {
            let mut message = "the text to evaluate holds no document".to_owned();
            for warning in encoded.warnings {
                message.push_str("; ");
                message.push_str(&warning);
            }
            return Err(DataError::Corpus(message));
        }
        encoded.tokens.truncate(wanted);
        return Ok(encoded);
    }
}

/// Encodes at most `max_bytes` of a corpus. Also returns whether the corpus continues.
fn encode_up_to(
    tokenizer: &Tokenizer,
    corpus: &Corpus,
    max_bytes: Option<u64>,
) -> Result<(EncodedText, bool), DataError> {
    let (mut tokens, mut bytes) = (Vec::new(), 0);
    let mut gatherer = Gatherer::new(tokenizer);
    let mut pieces: Vec<Gathered> = Vec::new();
    let mut gathered = 0;
    let mut encode = |pieces: &mut Vec<Gathered>| -> Result<(), DataError> {
        for more in encode_pieces(tokenizer, pieces)? {
            tokens.extend_from_slice(&more);
        }
        pieces.clear();
        Ok(())
    };
    let ended = corpus.for_each(&Span::all(max_bytes), &mut |document| {
        bytes += document.text.len() as u64;
        gathered += document.text.len();
        gatherer.push(document.text, document.then, &mut pieces);
        if gathered >= GATHERED_BYTES {
            encode(&mut pieces)?;
            gathered = 0;
        }
        Ok(Stop::No)
    })?;
    encode(&mut pieces)?;
    let encoded = EncodedText {
        tokens,
        bytes,
        warnings: ended.notices.lines(),
    };
    Ok((encoded, ended.full))
}

#[cfg(test)]
mod tests;
