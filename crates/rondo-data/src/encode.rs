//! From texts to tokens: cut into pieces, encoded together, in order.

use std::path::Path;

use crate::corpus::{Corpus, CorpusSource};
use crate::cut::{Piece, Start, pieces};
use crate::error::DataError;
use crate::shards::ShardWriter;
use crate::tokenizer::Tokenizer;

/// Pieces are gathered up to this size before they are encoded together.
const GATHERED_BYTES: usize = 1 << 20;

/// Where a number of tokens is asked for, so many bytes of text are read at first: enough for several pieces.
const FIRST_BYTES: u64 = 256 << 10;

/// Bytes of text that are read for each token that is asked for.
const BYTES_PER_TOKEN: u64 = 8;

/// What a part came to.
pub(crate) struct Encoded {
    /// Bytes of text.
    pub(crate) bytes: u64,
    /// Tokens, with those that end a text.
    pub(crate) tokens: u64,
}

/// Gathers texts and encodes them together; hands over the tokens in order.
struct Gatherer<'a> {
    tokenizer: &'a Tokenizer,
    gathered: Vec<Gathered>,
    gathered_bytes: usize,
}

/// A piece of a text.
struct Gathered {
    text: String,
    start: Start,
    /// Whether the text begins here.
    begins: bool,
    /// Whether the end-of-text token follows.
    ends: bool,
}

/// Takes tokens.
type Sink<'a> = &'a mut dyn FnMut(&[u32]) -> Result<(), DataError>;

impl<'a> Gatherer<'a> {
    fn new(tokenizer: &'a Tokenizer) -> Self {
        Self {
            tokenizer,
            gathered: Vec::new(),
            gathered_bytes: 0,
        }
    }

    /// Adds a text, which the tokenizer's opening precedes and the end-of-text token follows. Where the text goes on, `cut`, neither that token
    /// nor those of the last piece are known yet, and none of them is handed over.
    fn push(&mut self, text: &str, cut: bool, sink: Sink<'_>) -> Result<(), DataError> {
        let mut pieces = pieces(text, self.tokenizer).peekable();
        let mut begins = true;
        while let Some(piece) = pieces.next() {
            let last = pieces.peek().is_none();
            if last && cut {
                break;
            }
            self.add(piece, begins, last, sink)?;
            begins = false;
        }
        Ok(())
    }

    fn add(
        &mut self,
        piece: Piece<'_>,
        begins: bool,
        ends: bool,
        sink: Sink<'_>,
    ) -> Result<(), DataError> {
        let text = match piece.start {
            Start::Plain | Start::WithoutToken => piece.text,
            Start::WithoutSpace => &piece.text[1..],
        };
        self.gathered_bytes += text.len();
        self.gathered.push(Gathered {
            text: text.to_owned(),
            start: piece.start,
            begins,
            ends,
        });
        match self.gathered_bytes >= GATHERED_BYTES {
            true => self.flush(sink),
            false => Ok(()),
        }
    }

    fn flush(&mut self, sink: Sink<'_>) -> Result<(), DataError> {
        let texts = self.gathered.iter().map(|piece| piece.text.as_str());
        let mut pieces = self.gathered.iter();
        let mut all = Vec::new();
        self.tokenizer.encode_batch(texts.collect(), |tokens| {
            let Some(piece) = pieces.next() else { return };
            if piece.begins {
                all.extend_from_slice(self.tokenizer.opening_of(tokens));
            }
            let first = usize::from(piece.start == Start::WithoutToken);
            all.extend_from_slice(&tokens[first..]);
            if piece.ends {
                all.push(self.tokenizer.end_of_text());
            }
        })?;
        self.gathered.clear();
        self.gathered_bytes = 0;
        sink(&all)
    }
}

/// Encodes texts into a token file, each followed by the end-of-text token.
pub(crate) struct Encoder<'a> {
    gatherer: Gatherer<'a>,
    writer: ShardWriter,
    bytes: u64,
}

impl<'a> Encoder<'a> {
    pub(crate) fn create(path: &Path, tokenizer: &'a Tokenizer) -> Result<Self, DataError> {
        Ok(Self {
            gatherer: Gatherer::new(tokenizer),
            writer: ShardWriter::create(path, tokenizer.vocab_size(), tokenizer.hash())?,
            bytes: 0,
        })
    }

    pub(crate) fn push(&mut self, text: &str) -> Result<(), DataError> {
        self.bytes += text.len() as u64;
        let writer = &mut self.writer;
        self.gatherer
            .push(text, false, &mut |tokens| writer.push(tokens))
    }

    pub(crate) fn finish(mut self) -> Result<Encoded, DataError> {
        let writer = &mut self.writer;
        self.gatherer.flush(&mut |tokens| writer.push(tokens))?;
        Ok(Encoded {
            bytes: self.bytes,
            tokens: self.writer.finish()?,
        })
    }
}

/// A text as tokens.
#[derive(Clone, Debug)]
pub struct EncodedText {
    /// The tokens of its documents, each followed by the end-of-text token.
    pub tokens: Vec<u32>,
    /// Bytes of text that were encoded.
    pub bytes: u64,
    /// What the user should know of the text, one line each.
    pub warnings: Vec<String>,
}

/// Tokenizes a text, its documents one after the other. Where `max_tokens` are asked for, it reads and encodes
/// little more text than they need, and returns no more of them.
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

/// Encodes no more than `max_bytes` of a corpus; returns also whether there is more.
fn encode_up_to(
    tokenizer: &Tokenizer,
    corpus: &Corpus,
    max_bytes: Option<u64>,
) -> Result<(EncodedText, bool), DataError> {
    let (mut tokens, mut bytes) = (Vec::new(), 0);
    let mut gatherer = Gatherer::new(tokenizer);
    let sink: Sink<'_> = &mut |more| {
        tokens.extend_from_slice(more);
        Ok(())
    };
    let ended = corpus.for_each(max_bytes, &mut |_, _| Ok(()), &mut |document| {
        bytes += document.text.len() as u64;
        gatherer.push(document.text, document.cut, sink)
    })?;
    gatherer.flush(sink)?;
    let encoded = EncodedText {
        tokens,
        bytes,
        warnings: ended.notices.lines(),
    };
    Ok((encoded, ended.full))
}

#[cfg(test)]
mod tests;
