//! How the text of a prompt becomes tokens: with special tokens by their names, or opened by one.

use clap::{Args, ValueEnum};
use rondo_data::Tokenizer;

use crate::error::{Error, Result};
use crate::open_run::OpenRun;

/// What a text that is given to a run may hold beyond text.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct PromptingArgs {
    /// Whether a special token's name in the text, such as <|begin_text|>, is that token; on by
    /// default for imported models, where their files do not say otherwise, off for others.
    #[arg(long, value_enum, value_name = "on|off", conflicts_with = "tokens")]
    pub(crate) special: Option<Switch>,
    /// Whether the token that begins a text comes first, if it does not already; by default where an
    /// imported model's tokenizer adds it, off for others.
    #[arg(long, value_enum, value_name = "on|off", conflicts_with = "tokens")]
    pub(crate) bos: Option<Switch>,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl PromptingArgs {
    /// Returns whether something was asked for.
    pub(crate) fn is_given(self) -> bool {
        self.special.is_some() || self.bos.is_some()
    }
}

impl OpenRun<'_> {
    /// Returns the run's tokenizer, which `wanted_by`, a flag, cannot do without, ready for prompts.
    ///
    /// # Errors
    ///
    /// Where it has none, it is damaged, or `--bos on` finds no token that begins a text.
    pub(crate) fn reader(&self, wanted_by: &str, args: PromptingArgs) -> Result<Tokenizer> {
        let tokenizer = self.tokenizer(wanted_by)?;
        let imported = self.config.data.is_nothing();
        let special = match args.special {
            Some(switch) => switch == Switch::On,
            None => imported && !tokenizer.splits_special(),
        };
        let opening = match args.bos {
            Some(Switch::On) => self.opening(&tokenizer)?,
            None if imported => tokenizer.own_opening(),
            Some(Switch::Off) | None => Vec::new(),
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
    pub(crate) fn stops(&self, tokenizer: Option<&Tokenizer>) -> Result<Vec<u32>> {
        let special = self.run_dir.special_tokens()?.unwrap_or_default();
        Ok(match special.stops() {
            [] => tokenizer.map(Tokenizer::end_of_text).into_iter().collect(),
            stops => stops.to_vec(),
        })
    }
}
