//! Text to token ids and back: single bytes, or a `tokenizer.json`.

mod text_bytes;

use std::borrow::Cow;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::bpe;
use crate::error::DataError;
use crate::file::open_regular;

/// Largest `tokenizer.json` that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// The token that ends every document of a tokenizer trained here.
pub(crate) const END_OF_TEXT: &str = "<|endoftext|>";

/// What other tokenizers call the end of a text, in order of preference.
const END_OF_TEXT_NAMES: [&str; 7] = [
    END_OF_TEXT,
    "<|end_text|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "[SEP]",
    "<|im_end|>",
];

/// A tokenizer with the hash that ties token files to it.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    kind: Kind,
    vocab_size: usize,
    end_of_text: u32,
    hash: [u8; 32],
}

#[derive(Clone, Debug)]
enum Kind {
    Bytes,
    File {
        name: String,
        json: Vec<u8>,
        inner: Box<tokenizers::Tokenizer>,
    },
}

impl Tokenizer {
    /// Returns the tokenizer with one token per byte; token 256 ends a text.
    pub fn bytes() -> Self {
        Self {
            kind: Kind::Bytes,
            vocab_size: 257,
            end_of_text: 256,
            hash: *blake3::hash(b"rondo tokenizer: 256 bytes and the end of a text").as_bytes(),
        }
    }

    /// Loads a `tokenizer.json`; the file that [`Tokenizer::file`] gives for bytes makes the
    /// tokenizer of bytes again.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is larger than [`MAX_FILE_BYTES`], is not a tokenizer, or has
    /// no token that ends a text.
    pub fn load(path: &Path) -> Result<Self, DataError> {
        let json = read_capped(path)?;
        if json == bpe::bytes_file()? {
            return Ok(Self::bytes());
        }
        Self::from_json(&path.display().to_string(), json)
    }

    /// Returns the vocabulary size of a `tokenizer.json`, whether or not a token ends a text.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is larger than [`MAX_FILE_BYTES`], or is not a tokenizer.
    pub fn vocab_size_of(path: &Path) -> Result<usize, DataError> {
        let json = read_capped(path)?;
        Ok(vocab_size(&library(&path.display().to_string(), &json)?))
    }

    /// Loads the text of a `tokenizer.json`; `name` stands in messages.
    pub(crate) fn from_json(name: &str, json: Vec<u8>) -> Result<Self, DataError> {
        let refuse = |message: String| DataError::Tokenizer {
            name: name.to_owned(),
            message,
        };
        let mut inner = library(name, &json)?;
        // A document that speaks of the end-of-text token must not be cut in two by it, and ids
        // must not depend on a length that the file asks for.
        inner.set_encode_special_tokens(true);
        inner.with_padding(None);
        let unlimited = guarded(|| inner.with_truncation(None).map(|_| ()));
        unlimited.map_err(&refuse)?;

        let vocab_size = vocab_size(&inner);
        let end_of_text = END_OF_TEXT_NAMES
            .iter()
            .find_map(|name| inner.token_to_id(name))
            .ok_or_else(|| {
                refuse(format!(
                    "no token ends a text; one of {} is needed",
                    END_OF_TEXT_NAMES.join(", ")
                ))
            })?;
        Ok(Self {
            vocab_size,
            end_of_text,
            hash: *blake3::hash(&json).as_bytes(),
            kind: Kind::File {
                name: name.to_owned(),
                json,
                inner: Box::new(inner),
            },
        })
    }

    /// Returns one more than the largest token id.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Returns the token that ends a text.
    pub fn end_of_text(&self) -> u32 {
        self.end_of_text
    }

    /// Returns what the token that ends a text is called.
    pub fn end_of_text_name(&self) -> String {
        match &self.kind {
            Kind::Bytes => END_OF_TEXT.to_owned(),
            Kind::File { inner, .. } => inner
                .id_to_token(self.end_of_text)
                .unwrap_or_else(|| END_OF_TEXT.to_owned()),
        }
    }

    /// Returns the BLAKE3 hash of the file, or a constant for bytes.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Returns the text of `tokenizer.json`; `None` for bytes.
    pub(crate) fn json(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Bytes => None,
            Kind::File { json, .. } => Some(json),
        }
    }

    /// Returns the text of a `tokenizer.json` that encodes and decodes as this tokenizer does.
    ///
    /// # Errors
    ///
    /// When the library cannot write the file for bytes.
    pub fn file(&self) -> Result<Cow<'_, [u8]>, DataError> {
        match &self.kind {
            Kind::Bytes => bpe::bytes_file().map(Cow::Owned),
            Kind::File { json, .. } => Ok(Cow::Borrowed(json)),
        }
    }

    /// Returns the tokens of a text, without an end-of-text token.
    ///
    /// # Errors
    ///
    /// When the tokenizer of a file cannot represent the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let mut all = Vec::new();
        self.encode_batch(vec![text], |tokens| all.extend_from_slice(tokens))?;
        Ok(all)
    }

    /// Encodes texts in parallel and hands over their tokens in order.
    pub(crate) fn encode_batch(
        &self,
        texts: Vec<&str>,
        mut each: impl FnMut(&[u32]),
    ) -> Result<(), DataError> {
        match &self.kind {
            Kind::Bytes => {
                for text in texts {
                    let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
                    each(&tokens);
                }
            }
            Kind::File { name, inner, .. } => {
                let encodings =
                    guarded(|| inner.encode_batch_fast(texts, false)).map_err(|message| {
                        DataError::Tokenizer {
                            name: name.clone(),
                            message,
                        }
                    })?;
                for encoding in &encodings {
                    each(encoding.get_ids());
                }
            }
        }
        Ok(())
    }

    /// Returns the text of tokens; end-of-text tokens vanish, broken UTF-8 becomes `U+FFFD`.
    ///
    /// # Errors
    ///
    /// When a token lies beyond the vocabulary or the tokenizer of a file fails.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, DataError> {
        self.check(tokens)?;
        match &self.kind {
            Kind::Bytes => Ok(String::from_utf8_lossy(&plain_bytes(tokens)).into_owned()),
            Kind::File { inner, .. } => {
                guarded(|| inner.decode(tokens, true)).map_err(|message| self.refusal(message))
            }
        }
    }

    /// Refuses tokens beyond the vocabulary.
    fn check(&self, tokens: &[u32]) -> Result<(), DataError> {
        let mut beyond = tokens.iter().filter(|&&id| id as usize >= self.vocab_size);
        match beyond.next() {
            None => Ok(()),
            Some(id) => Err(self.refusal(format!(
                "token {id} lies beyond the vocabulary of {} tokens",
                self.vocab_size
            ))),
        }
    }

    fn refusal(&self, message: String) -> DataError {
        let name = match &self.kind {
            Kind::Bytes => "of bytes".to_owned(),
            Kind::File { name, .. } => name.clone(),
        };
        DataError::Tokenizer { name, message }
    }
}

/// Returns the tokens that are bytes.
fn plain_bytes(tokens: &[u32]) -> Vec<u8> {
    tokens
        .iter()
        .filter_map(|&id| u8::try_from(id).ok())
        .collect()
}

/// Reads a `tokenizer.json`, or that of a folder.
fn read_capped(path: &Path) -> Result<Vec<u8>, DataError> {
    let inside = path.join("tokenizer.json");
    let path = match path.is_dir() {
        true => inside.as_path(),
        false => path,
    };
    let mut json = Vec::new();
    open_regular(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut json)
        .map_err(DataError::io("read", path))?;
    if json.len() as u64 > MAX_FILE_BYTES {
        let (name, message) = (
            path.display().to_string(),
            format!("larger than {MAX_FILE_BYTES} bytes"),
        );
        return Err(DataError::Tokenizer { name, message });
    }
    Ok(json)
}

/// Hands the text of a `tokenizer.json` to the library; `name` stands in messages.
fn library(name: &str, json: &[u8]) -> Result<tokenizers::Tokenizer, DataError> {
    let loaded = guarded(|| tokenizers::Tokenizer::from_bytes(json));
    loaded.map_err(|message| DataError::Tokenizer {
        name: name.to_owned(),
        message: match is_beside_a_tokenizer(json) {
            true => "holds settings of a tokenizer, not its vocabulary; name tokenizer.json, which usually stands \
                     in the same folder"
                .to_owned(),
            false => message,
        },
    })
}

/// Returns whether a text is one of the JSON files that stand beside `tokenizer.json`: without a model.
fn is_beside_a_tokenizer(json: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(json)
        .is_ok_and(|file| !file.contains_key("model"))
}

/// Returns one more than the largest id.
fn vocab_size(inner: &tokenizers::Tokenizer) -> usize {
    let largest = inner.get_vocab(true).into_values().max();
    largest.map_or(0, |id| id as usize + 1)
}

/// Runs a call into `tokenizers`, which can panic on crafted files, and flattens both ways to fail.
pub(crate) fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("not a well-formed tokenizer (the library breaks on it)".to_owned()),
    }
}

#[cfg(test)]
mod tests;
