//! The configuration of a model: sizes and structural choices.

mod branch_scale;
mod conditioning;
mod injection;
mod lanes;
mod lora;
mod qk;
mod residual;
mod rotary;
mod section;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::branch_scale::{BranchFactors, BranchScale, DeeploopScale, LoopScale};
pub use self::conditioning::ConditioningKind;
pub use self::injection::{
    DiagonalInjection, Discretisation, EmbeddingInjection, HistoryForm, HistoryInjection,
    InjectionKind, ScalarForm, ScalarInjection,
};
pub use self::lanes::HyperConnections;
pub use self::lora::{Beyond, LoraConfig, LoraMatrix};
pub use self::qk::{QkBias, QkNorm};
pub use self::residual::{InfiloopResidual, ResidualKind};
pub use self::rotary::{RopePairing, RopeScaling};
pub use self::section::ModelSection;
use crate::depth::RecurrenceConfig;
use crate::layer::Stack;
use crate::sparsity::SparsityConfig;

/// The shape and structure of a recurrent-depth transformer, with every size resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Vocabulary size V.
    pub vocab_size: usize,
    /// Width of the residual stream, h.
    pub d_model: usize,
    /// The number of query heads.
    pub n_heads: usize,
    /// The number of key heads, and of value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Size of a head. If `None`, [`Self::d_head()`] returns `d_model / n_heads`.
    pub d_head: Option<usize>,
    /// Inner width of the gated MLP, f.
    pub d_ff: usize,
    /// The length of the longest sequence, in tokens.
    pub context: usize,
    /// Where the norms of a block are placed.
    pub block: BlockKind,
    /// The factors on the two sides of the core's residual connections.
    pub branch_scale: BranchScale,
    /// Learned biases of queries and keys, or of queries, keys and values. They are added after the
    /// projection.
    pub qk_bias: QkBias,
    /// The norm of queries and keys.
    pub qk_norm: QkNorm,
    /// The base of the rotary embedding's angles.
    pub rope_base: f64,
    /// Which elements of a head the rotary embedding rotates as a pair.
    pub rope_pairing: RopePairing,
    /// How the rotary embedding's frequencies are scaled; `None` leaves them unscaled.
    pub rope_scaling: Option<RopeScaling>,
    /// Whether the head is the token embedding transposed.
    pub tied_head: bool,
    /// The root-mean-square norm.
    pub norm: NormConfig,
    /// The numbers of layers in prelude, core block and coda.
    pub layers: LayersConfig,
    /// How the embedding e enters each iteration.
    pub injection: InjectionKind,
    /// How an iteration depends on its place in the loop.
    pub conditioning: ConditioningKind,
    /// How the next state is computed from the core's output.
    pub loop_residual: ResidualKind,
    /// Lanes, which are states side by side that the iterations read from and write to; `None` for
    /// a single state.
    pub hyper_connections: Option<HyperConnections>,
    /// What each iteration adds to the core's matrices; `None` if all iterations share them
    /// unchanged.
    pub lora: Option<LoraConfig>,
    /// How the initial state s_0 is drawn.
    pub state_init: StateInit,
    /// Where the shared norm n_f is applied, in addition to the end.
    pub boundary_norm: BoundaryNorm,
    /// How the weights are drawn.
    pub init: InitConfig,
    /// How many iterations a training step takes.
    pub recurrence: RecurrenceConfig,
    /// Gates on the edges of attention; `None` for attention without gates.
    pub sparsity: Option<SparsityConfig>,
}

/// The default structure, with a vocabulary of 257 tokens: 256 byte values and the end of a text.
impl Default for ModelConfig {
    fn default() -> Self {
        ModelSection::default().resolve(257)
    }
}

/// Where the norms of a block are placed; [`crate::block`] has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BlockKind {
    /// `x ← n(x + f(n x))`: the second norm is applied to the sum.
    Sandwich,
    /// `x ← x + f(n x)`.
    PreNorm,
    /// `x ← n(x + f(x))`.
    PostNorm,
    /// `x ← x + n(f(n x))`.
    BranchSandwich,
    /// `x ← x + n(f(x))`.
    BranchPostNorm,
}

impl BlockKind {
    /// Returns whether a sublayer has a norm before its function, and whether it has a norm after
    /// its function.
    pub(crate) fn norms(self) -> [bool; 2] {
        match self {
            Self::Sandwich | Self::BranchSandwich => [true, true],
            Self::PreNorm => [true, false],
            Self::PostNorm | Self::BranchPostNorm => [false, true],
        }
    }
}

/// A root-mean-square norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NormConfig {
    /// Whether the norm has a learned scale.
    pub learned: bool,
    /// Added to the mean square before the square root is taken.
    pub eps: f64,
}

impl Default for NormConfig {
    fn default() -> Self {
        Self {
            learned: true,
            eps: 1e-6,
        }
    }
}

/// The numbers of layers in prelude, core block and coda: l_P, l_R, l_C.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LayersConfig {
    /// l_P, the number of layers in the prelude.
    pub prelude: usize,
    /// l_R, the number of layers in the core block.
    pub core: usize,
    /// l_C, the number of layers in the coda.
    pub coda: usize,
}

impl Default for LayersConfig {
    fn default() -> Self {
        Self {
            prelude: 1,
            core: 2,
            coda: 1,
        }
    }
}

/// The distribution of the initial state s_0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateInit {
    /// Truncated normal: the std is that of the token embedding times γ.
    LikeInit,
    /// N(0, 1).
    Normal,
    /// N(0, 1) / √h.
    Embed,
    /// All zeros.
    Zero,
    /// N(0, 1), then standardised to mean 0 and std 1 over the features of each token.
    Unit,
    /// The embedding e, the prelude's output, which also enters the core.
    Input,
}

/// Where the shared norm n_f is applied between the loop and the head; [`crate::looped`] has the
/// table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BoundaryNorm {
    /// Before the coda and after it: `n_f(C(n_f(s_r)))`.
    Coda,
    /// At the end of the core in each iteration, and after the coda: `n_f(R(…))`, `n_f(C(s_r))`. A
    /// loop gate, an average and lanes use the normed output of the core. If the model has no loop
    /// gate, no average, no lanes and no coda, the head reads `s_r`, which is already normed.
    Iteration,
    /// After the coda alone: `n_f(C(s_r))`.
    None,
}

/// How the weights are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InitConfig {
    /// The scheme that gives the standard deviations of the weights.
    pub scheme: InitScheme,
    /// Makes every matrix orthogonal, including the embedding, with gain std·√max(rows, cols). The
    /// parts of a fused matrix are made orthogonal separately.
    pub orthogonal: bool,
}

impl Default for InitConfig {
    fn default() -> Self {
        Self {
            scheme: InitScheme::Takase,
            orthogonal: false,
        }
    }
}

/// Standard deviations of the weights (see [`crate::init`] for the table).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InitScheme {
    /// Small weights, small output projections, embedding scaled by γ = √h.
    Takase,
    /// Like `takase`, with γ = 1.
    Scaled,
    /// Like `scaled`, but output projections have the std of every other matrix.
    Small,
}

impl ModelConfig {
    /// Returns the configured size of a head, or `d_model / n_heads`.
    pub fn d_head(&self) -> usize {
        self.d_head.unwrap_or_else(|| self.d_model / self.n_heads)
    }

    /// Returns the width of all query heads together, which is `d_model` unless the size of a head
    /// is configured.
    pub fn attended_width(&self) -> usize {
        self.n_heads * self.d_head()
    }

    /// Returns the section that resolves to this model.
    pub fn to_section(&self) -> ModelSection {
        ModelSection {
            vocab_size: Some(self.vocab_size),
            d_model: self.d_model,
            n_heads: self.n_heads,
            n_kv_heads: (self.n_kv_heads != self.n_heads).then_some(self.n_kv_heads),
            d_head: self.d_head,
            d_ff: self.d_ff,
            context: self.context,
            block: self.block,
            branch_scale: self.branch_scale,
            qk_bias: self.qk_bias,
            qk_norm: self.qk_norm,
            rope_base: self.rope_base,
            rope_pairing: self.rope_pairing,
            rope_scaling: self.rope_scaling,
            tied_head: self.tied_head,
            norm: self.norm,
            layers: self.layers,
            injection: self.injection,
            conditioning: self.conditioning,
            loop_residual: self.loop_residual,
            hyper_connections: self.hyper_connections,
            lora: self.lora.clone(),
            state_init: self.state_init,
            boundary_norm: self.boundary_norm,
            init: self.init,
            recurrence: self.recurrence.clone(),
            sparsity: self.sparsity.clone(),
        }
    }

    /// Returns the configuration of gates if the layers of `stack` have gates.
    pub fn gates_of(&self, stack: Stack) -> Option<&SparsityConfig> {
        self.sparsity
            .as_ref()
            .filter(|sparsity| sparsity.has_gates(stack))
    }

    /// Returns γ, the factor that multiplies token embeddings.
    pub fn embedding_scale(&self) -> f64 {
        match self.init.scheme {
            InitScheme::Takase => (self.d_model as f64).sqrt(),
            InitScheme::Scaled | InitScheme::Small => 1.0,
        }
    }

    /// Returns l = l_P + r·l_R + l_C, the number of layers that a token passes at recurrence depth
    /// `r`.
    pub fn effective_depth(&self, r: usize) -> usize {
        self.layers.prelude + r * self.layers.core + self.layers.coda
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_shape_has_effective_depth_132() {
        let layers = LayersConfig {
            prelude: 2,
            core: 4,
            coda: 2,
        };
        let model = ModelConfig {
            layers,
            ..ModelConfig::default()
        };
        assert_eq!(model.effective_depth(32), 132);
    }
}
