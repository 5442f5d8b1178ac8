//! Text to token ids and back: single bytes, or a `tokenizer.json`.

use std::fs;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::error::DataError;

/// Largest `tokenizer.json` that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// The token that ends every document of a tokenizer trained here.
pub const END_OF_TEXT: &str = "<|endoftext|>";

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

    /// Loads a `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, is larger than [`MAX_FILE_BYTES`], is not a tokenizer, or has
    /// no token that ends a text.
    pub fn load(path: &Path) -> Result<Self, DataError> {
        let name = path.display().to_string();
        let file = fs::File::open(path).map_err(DataError::io("read", path))?;
        let mut json = Vec::new();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut json)
            .map_err(DataError::io("read", path))?;
        if json.len() as u64 > MAX_FILE_BYTES {
            let message = format!("larger than {MAX_FILE_BYTES} bytes");
            return Err(DataError::Tokenizer { name, message });
        }
        Self::from_json(&name, json)
    }

    /// Loads the text of a `tokenizer.json`; `name` stands in messages.
    pub(crate) fn from_json(name: &str, json: Vec<u8>) -> Result<Self, DataError> {
        let refuse = |message: String| DataError::Tokenizer {
            name: name.to_owned(),
            message,
        };
        let mut inner = guarded(|| tokenizers::Tokenizer::from_bytes(&json)).map_err(&refuse)?;
        // A document that speaks of the end-of-text token must not be cut in two by it, and ids
        // must not depend on a length that the file asks for.
        inner.set_encode_special_tokens(true);
        inner.with_padding(None);
        let unlimited = guarded(|| inner.with_truncation(None).map(|_| ()));
        unlimited.map_err(&refuse)?;

        let largest = inner.get_vocab(true).into_values().max();
        let vocab_size = largest.map_or(0, |id| id as usize + 1);
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

    /// Returns the BLAKE3 hash of the file, or a constant for bytes.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Returns the text of `tokenizer.json`; `None` for bytes.
    pub fn json(&self) -> Option<&[u8]> {
        match &self.kind {
            Kind::Bytes => None,
            Kind::File { json, .. } => Some(json),
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
        let refuse = |message| DataError::Tokenizer {
            name: match &self.kind {
                Kind::Bytes => "of bytes".to_owned(),
                Kind::File { name, .. } => name.clone(),
            },
            message,
        };
        let mut beyond = tokens.iter().filter(|&&id| id as usize >= self.vocab_size);
        if let Some(id) = beyond.next() {
            return Err(refuse(format!(
                "token {id} lies beyond the vocabulary of {} tokens",
                self.vocab_size
            )));
        }
        match &self.kind {
            Kind::Bytes => {
                let bytes: Vec<u8> = tokens
                    .iter()
                    .filter_map(|&id| u8::try_from(id).ok())
                    .collect();
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Kind::File { inner, .. } => guarded(|| inner.decode(tokens, true)).map_err(refuse),
        }
    }
}

/// Runs a call into `tokenizers`, which can panic on crafted files, and flattens both ways to fail.
pub(crate) fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("not a well-formed tokenizer (the library panicked on it)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_WORD: &str = r#"{"version":"1.0","truncation":{"direction":"Right","max_length":1,
        "strategy":"LongestFirst","stride":0},"padding":null,"added_tokens":[
        {"id":7,"content":"</s>","single_word":false,"lstrip":false,"rstrip":false,
        "normalized":false,"special":true}],"normalizer":null,
        "pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","vocab":{"a":0,"b":5,"</s>":7,"?":1},"unk_token":"?"}}"#;

    #[test]
    fn bytes_encode_to_themselves() {
        let tokenizer = Tokenizer::bytes();
        let tokens = tokenizer.encode("aé").expect("bytes encode anything");
        assert_eq!(tokens, [97, 0xc3, 0xa9]);
        assert_eq!(
            tokenizer.decode(&[97, 0xc3, 0xa9, 256]).expect("known"),
            "aé"
        );
        assert!(tokenizer.decode(&[257]).is_err());
    }

    #[test]
    fn a_foreign_file_gives_its_ids_its_end_of_text_and_no_truncation() {
        let tokenizer = Tokenizer::from_json("test", ONE_WORD.into()).expect("well-formed");
        assert_eq!((tokenizer.vocab_size(), tokenizer.end_of_text()), (8, 7));
        assert_eq!(tokenizer.encode("a b a").expect("known words"), [0, 5, 0]);
    }

    #[test]
    fn a_file_without_an_end_of_text_is_refused() {
        let json = ONE_WORD.replace("</s>", "<stop>");
        let error = Tokenizer::from_json("test", json.into()).expect_err("nothing ends a text");
        assert!(
            error.to_string().contains("no token ends a text"),
            "{error}"
        );
    }

    #[test]
    fn damaged_files_are_refused_without_a_panic() {
        for cut in 0..ONE_WORD.len() {
            let part = ONE_WORD.as_bytes()[..cut].to_vec();
            assert!(Tokenizer::from_json("test", part).is_err(), "cut at {cut}");
        }
        for index in (0..ONE_WORD.len()).step_by(7) {
            let mut flipped = ONE_WORD.as_bytes().to_vec();
            flipped[index] ^= 1;
            let survived = Tokenizer::from_json("test", flipped);
            if let Ok(tokenizer) = survived {
                assert!(tokenizer.vocab_size() >= 6);
            }
        }
    }

    #[test]
    fn a_panic_of_the_library_becomes_a_message() {
        let result: Result<(), String> = guarded(|| panic!("crafted"));
        assert!(result.expect_err("a panic").contains("panicked"));
    }

    #[test]
    fn an_oversized_file_is_refused_by_its_size() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tokenizer.json");
        let file = fs::File::create(&path).expect("writable");
        file.set_len(MAX_FILE_BYTES + 1).expect("a sparse file");
        let error = Tokenizer::load(&path).expect_err("too large");
        assert!(error.to_string().contains("larger than"), "{error}");
    }
}
