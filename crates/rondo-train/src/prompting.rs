//! Turns the text of a prompt into tokens. It may name special tokens, or be opened by one.

use rondo_data::Tokenizer;

use crate::error::{Error, Result};
use crate::open_run::OpenRun;

/// What a prompt may hold besides plain text. Without a choice, the run's own files decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prompting {
    /// Whether the name of a special token in the text stands for that token. By default it does
    /// for imported models, unless their files say otherwise.
    pub special: Option<bool>,
    /// Whether the token that begins a text comes first. By default it does if the tokenizer of an
    /// imported model adds it.
    pub bos: Option<bool>,
}

impl OpenRun<'_> {
    /// Returns the run's tokenizer, ready for prompts. The flag `wanted_by` needs it.
    ///
    /// # Errors
    ///
    /// When the run has no tokenizer, it is damaged, or `--bos on` finds no token that begins a
    /// text.
    pub fn reader(&self, wanted_by: &str, prompting: Prompting) -> Result<Tokenizer> {
        let tokenizer = self.tokenizer(wanted_by)?;
        let imported = self.config.data.is_nothing();
        let special = prompting
            .special
            .unwrap_or_else(|| imported && !tokenizer.splits_special());
        let opening = match prompting.bos {
            Some(true) => self.opening(&tokenizer)?,
            None if imported => tokenizer.own_opening(),
            Some(false) | None => Vec::new(),
        };
        Ok(tokenizer.with_special(special).with_opening(opening))
    }

    /// Returns the tokens that begin a text: those of the tokenizer, or else that of the model's
    /// ids.
    fn opening(&self, tokenizer: &Tokenizer) -> Result<Vec<u32>> {
        let own = tokenizer.own_opening();
        if !own.is_empty() {
            return Ok(own);
        }
        let special = self.run_dir.special_tokens()?;
        let bos = special.and_then(|special| special.bos_token_id);
        bos.map(|id| vec![id]).ok_or_else(|| {
            Error::Usage(format!(
                "--bos: neither the tokenizer nor the model of {} names a token that begins a text",
                self.run_dir.path().display()
            ))
        })
    }

    /// Returns the tokens at which generation stops: those that an imported model names, or else
    /// the end of text of the tokenizer.
    ///
    /// # Errors
    ///
    /// When the file of special tokens is damaged.
    pub fn stops(&self, tokenizer: Option<&Tokenizer>) -> Result<Vec<u32>> {
        let special = self.run_dir.special_tokens()?.unwrap_or_default();
        Ok(match special.stops() {
            [] => tokenizer.map(Tokenizer::end_of_text).into_iter().collect(),
            stops => stops.to_vec(),
        })
    }
}
