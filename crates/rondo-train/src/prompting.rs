//! Converts the text of a prompt to tokens. The text may contain names of special tokens. A token
//! that begins a text may be placed before it.

use rondo_data::Tokenizer;

use crate::error::{Error, Result};
use crate::open_run::OpenRun;

/// How the text of a prompt is encoded. For a field that is `None`, the files of the run decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prompting {
    /// Whether the name of a special token in the text stands for this token. By default only for
    /// imported models, unless their files say otherwise.
    pub special: Option<bool>,
    /// Whether the token that begins a text is placed before the prompt. By default only for
    /// imported models whose tokenizer adds this token.
    pub bos: Option<bool>,
}

impl OpenRun<'_> {
    /// Returns the run's tokenizer, set up for prompts. `wanted_by` is the flag that needs it.
    ///
    /// # Errors
    ///
    /// When the run has no tokenizer, or the tokenizer is damaged. Also with `--bos on` when no
    /// token that begins a text is known.
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

    /// Returns the tokens that begin a text: the tokens that the tokenizer adds, or else the token
    /// that the model's files name.
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

    /// Returns the tokens at which generation stops: those that the files of an imported model
    /// name, or else the tokenizer's end of text.
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
