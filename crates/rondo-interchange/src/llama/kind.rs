//! The five families and their differences.

use rondo_model::config::{BlockKind, BoundaryNorm, ModelConfig, QkBias, QkNorm};

/// A family that uses Llama's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Llama 1 to 3, SmolLM2, TinyLlama (arXiv 2302.13971).
    Llama,
    /// Adds biases to queries, keys and values (arXiv 2407.10671).
    Qwen2,
    /// Adds a norm to each head of queries and keys (arXiv 2505.09388).
    Qwen3,
    /// Has its norms after the branches instead of before (arXiv 2501.00656).
    Olmo2,
    /// Runs its stack several times (arXiv 2510.25741).
    Ouro,
}

impl Kind {
    /// Returns the value of `model_type`.
    pub(super) fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Olmo2 => "olmo2",
            Self::Ouro => "ouro",
        }
    }

    /// Returns the name of the Python class of the language model.
    pub(super) fn architecture(self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
            Self::Olmo2 => "Olmo2ForCausalLM",
            Self::Ouro => "OuroForCausalLM",
        }
    }

    /// Returns the ε of norms that is used if the file does not contain it.
    pub(super) fn default_eps(self) -> f64 {
        match self {
            Self::Olmo2 => 1e-5,
            Self::Llama | Self::Qwen2 | Self::Qwen3 | Self::Ouro => 1e-6,
        }
    }

    /// Returns the places of the norms in a block.
    pub(super) fn block(self) -> BlockKind {
        match self {
            Self::Llama | Self::Qwen2 | Self::Qwen3 => BlockKind::PreNorm,
            Self::Olmo2 => BlockKind::BranchPostNorm,
            Self::Ouro => BlockKind::BranchSandwich,
        }
    }

    /// Returns the norm of queries and keys.
    pub(super) fn qk_norm(self) -> QkNorm {
        match self {
            Self::Qwen3 => QkNorm::Head,
            Self::Olmo2 => QkNorm::Width,
            Self::Llama | Self::Qwen2 | Self::Ouro => QkNorm::None,
        }
    }

    /// Returns which of queries, keys and values have biases.
    pub(super) fn qk_bias(self) -> QkBias {
        match self {
            Self::Qwen2 => QkBias::Qkv,
            Self::Llama | Self::Qwen3 | Self::Olmo2 | Self::Ouro => QkBias::None,
        }
    }

    /// Returns where the final norm is applied, in addition to the end of the model.
    pub(super) fn boundary_norm(self) -> BoundaryNorm {
        match self {
            Self::Ouro => BoundaryNorm::Iteration,
            Self::Llama | Self::Qwen2 | Self::Qwen3 | Self::Olmo2 => BoundaryNorm::None,
        }
    }

    /// Returns the family whose structure is nearest to a model's.
    pub(crate) fn nearest(model: &ModelConfig) -> Self {
        match (model.block, model.qk_norm, model.qk_bias) {
            (BlockKind::BranchSandwich, ..) => Self::Ouro,
            (BlockKind::BranchPostNorm, ..) => Self::Olmo2,
            (_, QkNorm::Head, _) => Self::Qwen3,
            (_, _, QkBias::Qkv) => Self::Qwen2,
            _ => Self::Llama,
        }
    }
}
