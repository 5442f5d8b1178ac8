//! What one iteration changes in the layers of the core.
//!
//! | arm | the norm n before a branch | the branch f |
//! |---|---|---|
//! | branch gate | | `g f` |
//! | AdaLN | `(1 + s) ⊙ n` | `g ⊙ f` |
//! | LoRA | | `W + A B` in the place of its matrices W |
//!
//! All of it is a change of weights: a factor of a branch is one of the columns of its last matrix, or of the scale of the norm that
//! stands between the branch and the sum, and a factor of a norm is one of its scale. So each backend computes an adjusted layer by
//! the operations that it has for a plain one, and where nothing is adjusted nothing is computed.

use burn::tensor::Tensor;

use crate::conditioning::Conditioning;
use crate::lora::{Additions, Lora};
use crate::norm::RmsNorm;
use crate::recurrence::LoopState;

/// What an iteration changes in a layer.
#[derive(Clone, Debug, Default)]
pub struct Adjustment {
    /// In attention.
    pub(crate) attention: Change,
    /// In the MLP.
    pub(crate) feed_forward: Change,
}

/// What an iteration changes in a sublayer: nothing where there is nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// What multiplies the norm before the branch, `[d_model]`.
    pub(crate) norm: Option<Tensor<1>>,
    /// What multiplies the branch, `[1]` or `[d_model]`.
    pub(crate) branch: Option<Tensor<1>>,
    /// What is added to the branch's first matrix.
    pub(crate) first: Option<Tensor<2>>,
    /// What is added to its last.
    pub(crate) last: Option<Tensor<2>>,
}

/// Returns what the iteration after `state` adjusts in each layer in a pass to `depth`; none where it adjusts nothing. `known` are the
/// additions of each row where they are known already.
pub(crate) fn adjustments(
    conditioning: Option<&Conditioning>,
    lora: Option<&Lora>,
    state: &LoopState,
    depth: usize,
    known: Option<&[Vec<Additions>]>,
) -> Option<Vec<Adjustment>> {
    let told = conditioning.and_then(|conditioning| conditioning.adjust(state, depth));
    let Some(lora) = lora else { return told };
    let row = lora.row(state.iterations());
    let additions = match known {
        Some(known) => known[row].clone(),
        None => lora.additions(row),
    };
    let mut all = told.unwrap_or_else(|| vec![Adjustment::default(); additions.len()]);
    for (adjustment, additions) in all.iter_mut().zip(additions) {
        additions.enter(adjustment);
    }
    Some(all)
}

impl Change {
    /// Returns the scale of the norm before the branch.
    ///
    /// # Shapes
    ///
    /// `[d_model]`.
    pub(crate) fn norm_scale(&self, norm: &RmsNorm) -> Option<Tensor<1>> {
        match (norm.scale(), &self.norm) {
            (Some(scale), Some(factor)) => Some(scale * factor.clone()),
            (None, Some(factor)) => Some(factor.clone()),
            (scale, None) => scale,
        }
    }
}

/// What multiplies a branch: a number that stays, and one that an iteration has.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    /// The number that stays, where it is not one.
    pub(crate) fixed: Option<f64>,
    /// That of an iteration, `[1]` or one for each channel, `[d_model]`.
    pub(crate) learned: Option<Tensor<1>>,
}

impl Factor {
    fn is_one(&self) -> bool {
        self.fixed.is_none() && self.learned.is_none()
    }

    /// Returns the last matrix of a branch such that the branch is multiplied.
    ///
    /// # Shapes
    ///
    /// `[d_in, d_model]` to the same.
    pub(crate) fn of_matrix(&self, matrix: Tensor<2>) -> Tensor<2> {
        let matrix = match &self.learned {
            Some(factor) => matrix * factor.clone().unsqueeze(),
            None => matrix,
        };
        match self.fixed {
            Some(factor) => matrix * factor,
            None => matrix,
        }
    }

    /// Returns the scale of a norm such that what it gives is multiplied; `like` is on its device and `[d_in, d_model]`.
    ///
    /// # Shapes
    ///
    /// `scale` and the result: `[d_model]`.
    pub(crate) fn of_scale(&self, scale: Option<Tensor<1>>, like: &Tensor<2>) -> Option<Tensor<1>> {
        if self.is_one() {
            return scale;
        }
        let [_, width] = like.dims();
        let scale = scale.unwrap_or_else(|| Tensor::ones([width], &like.device()));
        let scale = match &self.learned {
            Some(factor) => scale * factor.clone(),
            None => scale,
        };
        Some(match self.fixed {
            Some(factor) => scale * factor,
            None => scale,
        })
    }
}

/// Returns a matrix with what is added to it.
pub(crate) fn with_added(matrix: Tensor<2>, added: Option<&Tensor<2>>) -> Tensor<2> {
    match added {
        Some(added) => matrix + added.clone(),
        None => matrix,
    }
}

#[cfg(test)]
mod tests;
