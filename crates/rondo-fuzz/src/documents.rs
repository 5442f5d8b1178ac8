//! Reads files of a corpus.

use rondo_data::{CorpusSource, Tokenizer, encode_source};

use crate::scratch;

/// Reads the bytes as a document file under several file names. Each name selects one format: text,
/// JSON lines, a JSON list, gzip or Zstandard.
///
/// An accepted file must give one token for each byte, and one more for the end of each document.
///
/// # Panics
///
/// Panics if one of these properties does not hold.
pub fn documents(bytes: &[u8]) {
    for name in [
        "input.txt",
        "input.jsonl",
        "input.json",
        "input.txt.gz",
        "input.jsonl.zst",
    ] {
        let path = scratch::file(name, bytes);
        let source = CorpusSource::new(&[path.display().to_string()], "text");
        if let Ok(text) = encode_source(&Tokenizer::bytes(), &source, None) {
            let end = Tokenizer::bytes().end_of_text();
            let ends = text.tokens.iter().filter(|&&id| id == end).count();
            assert!(
                ends > 0 && text.tokens.len() as u64 == text.bytes + ends as u64,
                "{name}"
            );
        }
    }
}
