//! Decides which token ends a text.

use super::beside::{Beside, CONFIG_FILE};

/// The token that ends every document for a tokenizer trained here.
pub(crate) const END_OF_TEXT: &str = "<|endoftext|>";

/// The names of the end of a text in other tokenizers, in order of preference. New names are added
/// at the end, so that a tokenizer keeps its end of text.
const NAMES: [&str; 16] = [
    END_OF_TEXT,
    "<|end_text|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "[SEP]",
    "<|im_end|>",
    "<｜end▁of▁sentence｜>",
    "<EOT>",
    "<|eot_id|>",
    "<end_of_turn>",
    "<|return|>",
    "<|END_OF_TURN_TOKEN|>",
    "[EOS]",
    "<EOS>",
    "<|eos|>",
];

/// How to find the token that ends a text, in the tokenizer of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndOfText<'a> {
    /// `eos_token` of the `tokenizer_config.json` beside the file; otherwise the first known name.
    #[default]
    Found,
    /// Only the token of this name.
    Named(&'a str),
    /// `eos_token` of the `tokenizer_config.json` beside the file; otherwise the token of this id.
    OrElse(u32),
}

impl<'a> From<Option<&'a str>> for EndOfText<'a> {
    fn from(name: Option<&'a str>) -> Self {
        name.map_or(Self::Found, Self::Named)
    }
}

/// The token that ends a text.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) id: u32,
    /// Whether a key, a flag, a file or an id named the token. False if the list of known names
    /// decided.
    pub(super) named: bool,
    /// The token that the list of known names alone would give.
    pub(super) first_known: Option<u32>,
    /// Other tokens of the list, if only the list decided.
    pub(super) others: Vec<&'static str>,
}

impl Ending {
    /// Finds the token; `id_of` looks up a name, and `known` says whether an id exists.
    ///
    /// # Errors
    ///
    /// When the token does not exist or none is known; the error says what to do.
    pub(super) fn find(
        wanted: EndOfText<'_>,
        beside: &Beside,
        id_of: impl Fn(&str) -> Option<u32>,
        known: impl Fn(u32) -> bool,
    ) -> Result<Self, String> {
        let found: Vec<(&'static str, u32)> = NAMES
            .iter()
            .filter_map(|name| Some((*name, id_of(name)?)))
            .collect();
        let first_known = found.first().map(|(_, id)| *id);
        let named = |id| Self {
            id,
            named: true,
            first_known,
            others: Vec::new(),
        };
        match (wanted, &beside.eos) {
            (EndOfText::Named(name), _) => match id_of(name) {
                Some(id) => Ok(named(id)),
                None => Err(format!(
                    "no token is called {name:?}, which end_of_text (--end-of-text) names"
                )),
            },
            (_, Some(name)) => match id_of(name) {
                Some(id) => Ok(named(id)),
                None => Err(format!(
                    "no token is called {name:?}, which {CONFIG_FILE} beside it names as eos_token; \
                     {REMEDY}"
                )),
            },
            (EndOfText::OrElse(id), None) if known(id) => Ok(named(id)),
            (_, None) => match found.split_first() {
                Some((&(_, id), others)) => Ok(Self {
                    id,
                    named: false,
                    first_known,
                    others: others
                        .iter()
                        .filter(|(_, other)| *other != id)
                        .map(|(name, _)| *name)
                        .collect(),
                }),
                None => Err(format!(
                    "no token ends a text: there is none of {}; {REMEDY}",
                    NAMES.join(", ")
                )),
            },
        }
    }
}

/// What to do if the token is not found.
const REMEDY: &str = "name one: `end_of_text = \"NAME\"` beside `path` in data.tokenizer, or \
                      --end-of-text NAME with --tokenizer";
