//! The conventions for cutting and scoring items and for their examples.

use serde::{Deserialize, Serialize};

use crate::item::Kind;

/// The conventions of one evaluation program.
///
/// | | lm-eval | CORE |
/// |---|---|---|
/// | token before the text | none | the token that begins a text |
/// | scored tokens | every token of the continuation | multiple choice: the tokens after the common beginning of all choices; schema: the common end of all texts; language modelling: the tokens after the context |
/// | best choice | the largest sum of log-likelihoods | the smallest mean loss per token |
/// | examples | in the order of their file; without a file, drawn as CORE draws them | drawn for each item from the other items |
/// | delimiter before a language-modelling continuation | none | a space |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rules {
    /// EleutherAI's lm-evaluation-harness.
    #[default]
    LmEval,
    /// CORE, as nanochat computes it.
    Core,
}

impl Rules {
    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::LmEval => "lm-eval",
            Self::Core => "core",
        }
    }

    /// Returns the default text between a context and its continuation.
    pub fn delimiter(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (_, Kind::MultipleChoice | Kind::Schema) | (Self::Core, Kind::LanguageModeling) => " ",
            (Self::LmEval, Kind::LanguageModeling) | (_, Kind::Generation | Kind::Text) => "",
        }
    }
}
