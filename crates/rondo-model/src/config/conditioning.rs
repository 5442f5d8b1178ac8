//! `model.conditioning`: how an iteration depends on its place in the loop.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an iteration depends on its place in the loop; [`crate::conditioning`] has the formulas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConditioningKind {
    /// No dependence: all iterations are the same.
    #[default]
    None,
    /// `g ⊙ p_i` is added to the input of the core, where p_i is the sinusoidal embedding of the
    /// iteration's number and g is learned.
    Embedding,
    /// The update of the state is multiplied by `1 + ⟨q, ψ(t, 1/r)⟩` with `t = (i − 1)/r` and a
    /// learned q. This factor depends on the recurrence depth r of the pass.
    LoopGate,
    /// In the core, the norm before each branch, and the branch itself, are multiplied by a factor
    /// for each channel. The factors are 1 plus a linear map of the sinusoidal embedding of the
    /// iteration's number.
    Adaln,
    /// Each branch of the core is multiplied by `1 + ⟨q, ψ(t, 1/r)⟩`, with a learned q per branch.
    /// This factor depends on the recurrence depth r of the pass.
    BranchGate,
}

impl ConditioningKind {
    /// Returns the word in the configuration.
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

    /// Returns whether an iteration depends on the recurrence depth of the pass.
    pub fn reads_depth(self) -> bool {
        match self {
            Self::None | Self::Embedding | Self::Adaln => false,
            Self::LoopGate | Self::BranchGate => true,
        }
    }

    /// Returns whether the conditioning changes the weights of the core's layers.
    pub(crate) fn adjusts_layers(self) -> bool {
        match self {
            Self::None | Self::Embedding | Self::LoopGate => false,
            Self::Adaln | Self::BranchGate => true,
        }
    }

    /// Describes the extra cost of readouts at `depths` if each depth needs a pass of its own.
    /// Returns `None` if one pass is enough for all depths.
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
