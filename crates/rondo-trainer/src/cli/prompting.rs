//! Arguments that select how the text of a prompt becomes tokens.

use clap::{Args, ValueEnum};
use rondo_train::prompting::Prompting;

/// How special tokens in a prompt are treated.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct PromptingArgs {
    /// Whether the name of a special token in the text, such as <|begin_text|>, becomes that token.
    /// By default on for imported models, unless their files say otherwise, and off for others.
    #[arg(long, value_enum, value_name = "on|off", conflicts_with = "tokens")]
    pub(crate) special: Option<Switch>,
    /// Whether the token that begins a text is put first, unless the text already begins with it.
    /// By default on for imported models whose tokenizer adds it, and off for others.
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
    /// Whether at least one option was given.
    pub(crate) fn is_given(self) -> bool {
        self.special.is_some() || self.bos.is_some()
    }

    /// Returns the options that were given.
    pub(crate) fn prompting(self) -> Prompting {
        let is_on = |switch| switch == Switch::On;
        Prompting {
            special: self.special.map(is_on),
            bos: self.bos.map(is_on),
        }
    }
}
