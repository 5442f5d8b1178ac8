//! How the text of a prompt becomes tokens, as typed.

use clap::{Args, ValueEnum};
use rondo_train::prompting::Prompting;

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

    /// Returns what was asked for.
    pub(crate) fn prompting(self) -> Prompting {
        let is_on = |switch| switch == Switch::On;
        Prompting {
            special: self.special.map(is_on),
            bos: self.bos.map(is_on),
        }
    }
}
