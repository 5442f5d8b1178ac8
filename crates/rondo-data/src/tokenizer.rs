//! Text to token ids and back: single bytes, or a `tokenizer.json`.

mod beside;
mod end_of_text;
mod prompts;
mod text_bytes;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use self::beside::Beside;
pub(crate) use self::beside::CONFIG_FILE;
pub(crate) use self::end_of_text::END_OF_TEXT;
pub use self::end_of_text::EndOfText;
use self::end_of_text::Ending;
use crate::bpe;
use crate::error::DataError;
use crate::file::open_regular;

/// Largest `tokenizer.json` that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// A tokenizer with the hash that ties token files to it.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    kind: Kind,
    vocab_size: usize,
    ending: Ending,
    beside: Beside,
    hash: [u8; 32],
    /// Whether the name of a special token in a text is encoded as that token.
    special: bool,
    /// Tokens that are put before every text that does not begin with them.
    opening: Vec<u32>,
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
            ending: Ending {
                id: 256,
                named: false,
                first_known: Some(256),
                others: Vec::new(),
            },
            beside: Beside::default(),
            hash: *blake3::hash(b"rondo tokenizer: 256 bytes and the end of a text").as_bytes(),
            special: false,
            opening: Vec::new(),
        }
    }

    /// Loads a `tokenizer.json`. The file that [`Tokenizer::file`] writes for bytes loads as the
    /// tokenizer of bytes. [`EndOfText::Found`] decides the end of a text.
    ///
    /// # Errors
    ///
    /// The errors of [`Tokenizer::load_with`].
    pub fn load(path: &Path) -> Result<Self, DataError> {
        Self::load_with(path, EndOfText::Found)
    }

    /// Loads a `tokenizer.json`; `end_of_text` decides which token ends a text.
    ///
    /// # Errors
    ///
    /// When the file or the `tokenizer_config.json` beside it cannot be read, is larger than
    /// [`MAX_FILE_BYTES`] or has another form, or when no token ends a text.
    pub fn load_with(path: &Path, end_of_text: EndOfText<'_>) -> Result<Self, DataError> {
        let json = read_capped(path)?;
        let is_bytes = json == bpe::bytes_file()?;
        let beside = match end_of_text {
            EndOfText::Named(_) => Beside::default(),
            _ => beside::read(path)?,
        };
        let loaded = Self::from_parts(&path.display().to_string(), json, beside, end_of_text)?;
        let bytes = Self::bytes();
        if is_bytes && loaded.end_of_text() == bytes.end_of_text() {
            let beside = loaded.beside;
            return Ok(Self { beside, ..bytes });
        }
        Ok(loaded)
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

    /// Loads the text of a `tokenizer.json`; `name` is used in messages.
    pub(crate) fn from_json(name: &str, json: Vec<u8>) -> Result<Self, DataError> {
        Self::from_parts(name, json, Beside::default(), EndOfText::Found)
    }

    fn from_parts(
        name: &str,
        json: Vec<u8>,
        beside: Beside,
        end_of_text: EndOfText<'_>,
    ) -> Result<Self, DataError> {
        let refuse = |message: String| DataError::Tokenizer {
            name: name.to_owned(),
            message,
        };
        let mut inner = library(name, &json)?;
        // The name of the end-of-text token inside a document must not end the document. Ids must
        // not depend on a padding or truncation length in the tokenizer's file.
        inner.set_encode_special_tokens(true);
        inner.with_padding(None);
        let unlimited = guarded(|| inner.with_truncation(None).map(|_| ()));
        unlimited.map_err(&refuse)?;

        let ending = Ending::find(
            end_of_text,
            &beside,
            |name| inner.token_to_id(name),
            |id| inner.id_to_token(id).is_some(),
        );
        let ending = ending.map_err(&refuse)?;
        Ok(Self {
            vocab_size: vocab_size(&inner),
            hash: hash(&json, &ending),
            ending,
            beside,
            special: false,
            opening: Vec::new(),
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
        self.ending.id
    }

    /// Returns the name of the token that ends a text.
    pub fn end_of_text_name(&self) -> String {
        match &self.kind {
            Kind::Bytes => END_OF_TEXT.to_owned(),
            Kind::File { inner, .. } => inner
                .id_to_token(self.ending.id)
                .unwrap_or_else(|| END_OF_TEXT.to_owned()),
        }
    }

    /// Describes which token ends a text, if several are possible and only the list of known names
    /// decided; `None` if there is no doubt.
    pub fn doubt(&self) -> Option<String> {
        let others = self.ending.others.join(", ");
        (!others.is_empty()).then(|| {
            let taken = self.end_of_text_name();
            format!(
                "the tokenizer has {taken} and {others}, which all could end a text: {taken} is taken; \
                 end_of_text in data.tokenizer, --end-of-text or eos_token in a {CONFIG_FILE} beside it \
                 names another"
            )
        })
    }

    /// Returns the text of the `tokenizer_config.json` that [`Tokenizer::load`] needs to find the
    /// token that ends a text; `None` if the known names are enough.
    pub fn config_file(&self) -> Option<Vec<u8>> {
        let named = self.ending.named && !matches!(self.kind, Kind::Bytes);
        named.then(|| beside::naming(&self.end_of_text_name()))
    }

    /// Returns a hash of the file and of the token that ends a text, or a constant for bytes. It is
    /// the BLAKE3 of the file alone if the list of known names gives the same token.
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
        match &self.kind {
            Kind::Bytes => Ok(prompts::bytes_of(text, self.special)),
            Kind::File { inner, .. } => {
                let encoded = guarded(|| inner.encode_fast(text, false));
                match encoded {
                    Ok(encoded) => Ok(encoded.get_ids().to_vec()),
                    Err(message) => Err(self.refusal(message)),
                }
            }
        }
    }

    /// Returns the text of tokens; end-of-text tokens are dropped, and broken UTF-8 becomes
    /// `U+FFFD`.
    ///
    /// # Errors
    ///
    /// When a token is outside the vocabulary or the tokenizer of a file fails.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, DataError> {
        self.check(tokens)?;
        match &self.kind {
            Kind::Bytes => Ok(String::from_utf8_lossy(&plain_bytes(tokens)).into_owned()),
            Kind::File { inner, .. } => {
                guarded(|| inner.decode(tokens, true)).map_err(|message| self.refusal(message))
            }
        }
    }

    /// Returns the text of tokens as [`Tokenizer::decode`] does, but also drops tokens outside the
    /// vocabulary, which a model with a larger embedding may produce.
    ///
    /// # Errors
    ///
    /// When the tokenizer of a file fails.
    pub fn decode_known(&self, tokens: &[u32]) -> Result<String, DataError> {
        let known = |id: &u32| (*id as usize) < self.vocab_size;
        let known: Vec<u32> = tokens.iter().copied().filter(known).collect();
        self.decode(&known)
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

/// Returns the hash of a file's text and of the token that ends a text.
fn hash(json: &[u8], ending: &Ending) -> [u8; 32] {
    if ending.first_known == Some(ending.id) {
        return *blake3::hash(json).as_bytes();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(json);
    hasher.update(format!("\nend of text {}", ending.id).as_bytes());
    *hasher.finalize().as_bytes()
}

/// Returns the bytes that tokens stand for. Other tokens are dropped.
fn plain_bytes(tokens: &[u32]) -> Vec<u8> {
    tokens
        .iter()
        .filter_map(|&id| u8::try_from(id).ok())
        .collect()
}

/// Reads a `tokenizer.json`, given by its own path or by the path of its folder.
fn read_capped(path: &Path) -> Result<Vec<u8>, DataError> {
    let inside = path.join("tokenizer.json");
    let path = match path.is_dir() {
        true => inside.as_path(),
        false => path,
    };
    let json = rondo_files::read_capped(open_regular(path)?, MAX_FILE_BYTES);
    json.map_err(DataError::io("read", path))?
        .ok_or_else(|| DataError::Tokenizer {
            name: path.display().to_string(),
            message: format!("larger than {MAX_FILE_BYTES} bytes"),
        })
}

/// Loads the text of a `tokenizer.json` with the library; `name` is used in messages.
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

/// Returns whether a text is one of the other JSON files from the folder of a `tokenizer.json`.
/// They have no key `model`.
fn is_beside_a_tokenizer(json: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(json)
        .is_ok_and(|file| !file.contains_key("model"))
}

/// Returns one more than the largest id.
fn vocab_size(inner: &tokenizers::Tokenizer) -> usize {
    let largest = inner.get_vocab(true).into_values().max();
    largest.map_or(0, |id| id as usize + 1)
}

/// Runs a call into `tokenizers`, which can panic on crafted files; both kinds of failure become
/// one error.
pub(crate) fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("not a well-formed tokenizer (the library breaks on it)".to_owned()),
    }
}

#[cfg(test)]
mod as_python;
#[cfg(test)]
mod tests;
