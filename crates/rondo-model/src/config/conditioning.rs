//! `model.conditioning`: what an iteration is told of its place in the loop.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an iteration is told of its place; [`crate::conditioning`] has the formulas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConditioningKind {
    /// Nothing: all iterations are the same.
    #[default]
    None,
    /// `g ⊙ p_i` is added to what enters the core, p_i the sinusoidal embedding of the iteration's number, g learned.
    Embedding,
    /// The step of an iteration is multiplied by `1 + ⟨q, ψ(t, 1/r)⟩` with `t = (i − 1)/r`, q learned: it depends on the whole depth r.
    LoopGate,
    /// The norm before each branch of the core and the branch are multiplied, channel by channel, by 1 and a linear map of the
    /// sinusoidal embedding of the iteration's number.
    Adaln,
    /// Each branch of the core is multiplied by `1 + ⟨q, ψ(t, 1/r)⟩`, q learned for each: it depends on the whole depth r.
    BranchGate,
}

impl ConditioningKind {
    /// Returns the word that names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Embedding => "embedding",
            Self::LoopGate => "loop-gate",
            Self::Adaln => "adaln",
            Self::BranchGate => "branch-gate",
        }
    }

    /// Returns whether all iterations are the same.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Returns whether an iteration depends on how many there will be.
    pub fn reads_depth(self) -> bool {
        match self {
            Self::None | Self::Embedding | Self::Adaln => false,
            Self::LoopGate | Self::BranchGate => true,
        }
    }

    /// Returns whether it changes the weights of the core's layers.
    pub(crate) fn adjusts_layers(self) -> bool {
        match self {
            Self::None | Self::Embedding | Self::LoopGate => false,
            Self::Adaln | Self::BranchGate => true,
        }
    }

    /// Says what readouts at `depths` cost more where each of them takes a pass of its own; nothing where one pass serves all.
    pub fn note(self, depths: &[usize]) -> Option<String> {
        let (all, deepest) = (depths.iter().sum::<usize>(), depths.iter().max()?);
        (self.reads_depth() && all > *deepest).then(|| {
            format!(
                "{} depends on the depth of the whole pass: each of {} depths takes a pass of its own, {all} iterations instead of \
                 {deepest}",
                self.name(),
                depths.len()
            )
        })
    }
}
