//! How the text of a prompt becomes tokens: with special tokens by their names, or opened by one.

use rondo_data::Tokenizer;

use crate::error::{Error, Result};
use crate::open_run::OpenRun;

/// What a text that is given to a run may hold beyond text; without a choice the run's own files decide.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prompting {
    /// Whether a special token's name in the text is that token; by default in imported models, unless their files say
    /// otherwise.
    pub special: Option<bool>,
    /// Whether the token that begins a text comes first; by default where an imported model's tokenizer adds it.
    pub bos: Option<bool>,
}

impl OpenRun<'_> {
    /// Returns the run's tokenizer, which `wanted_by`, a flag, cannot do without, ready for prompts.
    ///
    /// # Errors
    ///
    /// Where it has none, it is damaged, or `--bos on` finds no token that begins a text.
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

    /// Returns what begins a text: by the tokenizer, else by the model's ids.
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

    /// Returns the tokens at which generation stops: those that an imported model names, else the
    /// tokenizer's end of text.
    ///
    /// # Errors
    ///
    /// Where the file of special tokens is damaged.
    pub fn stops(&self, tokenizer: Option<&Tokenizer>) -> Result<Vec<u32>> {
        let special = self.run_dir.special_tokens()?.unwrap_or_default();
        Ok(match special.stops() {
            [] => tokenizer.map(Tokenizer::end_of_text).into_iter().collect(),
            stops => stops.to_vec(),
        })
    }
}
