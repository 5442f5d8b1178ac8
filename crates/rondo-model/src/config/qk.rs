//! Norms and biases of queries and keys. Older configurations have only true and false; values with
//! the same meaning are still written as true or false.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The norm of queries and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "WrittenNorm", into = "WrittenNorm")]
pub enum QkNorm {
    /// No norm.
    None,
    /// Root-mean-square norm of each head, after the rotary embedding and without a scale.
    Plain,
    /// Root-mean-square norm of each head, before the rotary embedding. Queries and keys have one
    /// learned scale each, shared by their heads (Qwen3).
    Head,
    /// Root-mean-square norm over all heads together, before the rotary embedding. Queries and keys
    /// have one learned scale each (OLMo 2).
    Width,
}

/// Learned biases after the projection to queries, keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "WrittenBias", into = "WrittenBias")]
pub enum QkBias {
    /// No biases.
    None,
    /// Biases of queries and keys.
    Qk,
    /// Biases of queries, keys and values (Qwen2).
    Qkv,
}

impl QkBias {
    /// Returns whether there are biases.
    pub fn is_there(self) -> bool {
        self != Self::None
    }
}

/// The value in the configuration file: a switch or a word.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "none, plain, head or width; true is plain, false is none")]
enum WrittenNorm {
    Switch(bool),
    Word(NormWord),
}

/// The words of [`QkNorm`].
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
enum NormWord {
    /// No norm; the same as `false`.
    None,
    /// Root-mean-square norm of each head, after the rotary embedding and without a scale; the same
    /// as `true`.
    Plain,
    /// Root-mean-square norm of each head, before the rotary embedding. Queries and keys have one
    /// learned scale each, shared by their heads (Qwen3).
    Head,
    /// Root-mean-square norm over all heads together, before the rotary embedding. Queries and keys
    /// have one learned scale each (OLMo 2).
    Width,
}

/// The value in the configuration file: a switch or a word.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(title = "none, qk or qkv; true is qk, false is none")]
enum WrittenBias {
    Switch(bool),
    Word(BiasWord),
}

/// The words of [`QkBias`].
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
enum BiasWord {
    /// No biases; the same as `false`.
    None,
    /// Biases of queries and keys; the same as `true`.
    Qk,
    /// Biases of queries, keys and values (Qwen2).
    Qkv,
}

impl From<WrittenNorm> for QkNorm {
    fn from(written: WrittenNorm) -> Self {
        match written {
            WrittenNorm::Switch(false) | WrittenNorm::Word(NormWord::None) => Self::None,
            WrittenNorm::Switch(true) | WrittenNorm::Word(NormWord::Plain) => Self::Plain,
            WrittenNorm::Word(NormWord::Head) => Self::Head,
            WrittenNorm::Word(NormWord::Width) => Self::Width,
        }
    }
}

impl From<QkNorm> for WrittenNorm {
    fn from(norm: QkNorm) -> Self {
        match norm {
            QkNorm::None => Self::Switch(false),
            QkNorm::Plain => Self::Switch(true),
            QkNorm::Head => Self::Word(NormWord::Head),
            QkNorm::Width => Self::Word(NormWord::Width),
        }
    }
}

impl From<QkBias> for WrittenBias {
    fn from(bias: QkBias) -> Self {
        match bias {
            QkBias::None => Self::Switch(false),
            QkBias::Qk => Self::Switch(true),
            QkBias::Qkv => Self::Word(BiasWord::Qkv),
        }
    }
}

impl From<WrittenBias> for QkBias {
    fn from(written: WrittenBias) -> Self {
        match written {
            WrittenBias::Switch(false) | WrittenBias::Word(BiasWord::None) => Self::None,
            WrittenBias::Switch(true) | WrittenBias::Word(BiasWord::Qk) => Self::Qk,
            WrittenBias::Word(BiasWord::Qkv) => Self::Qkv,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::Error;

    use super::*;

    /// Deserialises a value that is true, false or a word.
    fn read<'de, T: Deserialize<'de>>(value: impl IntoDeserializer<'de, Error>) -> Option<T> {
        T::deserialize(value.into_deserializer()).ok()
    }

    #[test]
    fn switches_of_older_configurations_keep_their_meaning() {
        assert_eq!(read(false), Some(QkNorm::None));
        assert_eq!(read(true), Some(QkNorm::Plain));
        assert_eq!(read("width"), Some(QkNorm::Width));
        assert_eq!(read::<QkNorm>("rotated"), None);
        assert_eq!(read(false), Some(QkBias::None));
        assert_eq!(read(true), Some(QkBias::Qk));
        assert_eq!(read("qkv"), Some(QkBias::Qkv));
    }
}
