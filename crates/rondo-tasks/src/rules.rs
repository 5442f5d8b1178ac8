//! The conventions for cutting, scoring and counting items.

use serde::{Deserialize, Serialize};

use crate::item::Kind;

/// The conventions of one evaluation program.
///
/// | | lm-eval | CORE |
/// |---|---|---|
/// | before the text | nothing | the token that begins a text |
/// | scored | every token of the continuation | the tokens after those that all choices begin with (multiple choice), the tokens that all end with (schema), the tokens after the context |
/// | best | the largest sum of log-likelihoods | the smallest mean loss per token |
/// | examples | in the order of their file, or as CORE draws them | drawn for each item from the others |
/// | before a language-modelling continuation | nothing | a space |
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
