//! Changes that one iteration makes to the layers of the core.
//!
//! | source | norm n before a branch | branch f |
//! |---|---|---|
//! | branch gate | | `(1 + ⟨q, ψ⟩) f` |
//! | AdaLN | `(1 + s) ⊙ n` | `(1 + g) ⊙ f` |
//! | LoRA | | matrices `W + Aᵀ B` in place of W |
//!
//! [`crate::conditioning`] and [`crate::lora`] define the symbols. Every change is applied to
//! weights: a factor on a branch multiplies the columns of the branch's last matrix, or the scale
//! of the norm between the branch and the sum. A factor on a norm multiplies the norm's scale. So
//! each backend computes an adjusted layer with the operations of a plain layer, and a layer
//! without adjustments costs nothing extra.

use burn::tensor::Tensor;

use crate::conditioning::Conditioning;
use crate::lora::{Additions, Lora};
use crate::norm::RmsNorm;
use crate::recurrence::LoopState;

/// The changes of a layer in one iteration.
#[derive(Clone, Debug, Default)]
pub struct Adjustment {
    /// The change of attention.
    pub(crate) attention: Change,
    /// The change of the MLP.
    pub(crate) feed_forward: Change,
}

/// The changes of a sublayer in one iteration; `None` for parts that are unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// The factor on the norm before the branch, `[d_model]`.
    pub(crate) norm: Option<Tensor<1>>,
    /// The factor on the branch, `[1]` or `[d_model]`.
    pub(crate) branch: Option<Tensor<1>>,
    /// The addition to the branch's first matrix.
    pub(crate) first: Option<Tensor<2>>,
    /// The addition to the branch's last matrix.
    pub(crate) last: Option<Tensor<2>>,
}

/// Returns the adjustment of each layer for the iteration after `state`, in a pass of `depth`
/// iterations. Returns `None` if neither a conditioning nor LoRA changes layers. `known` holds the
/// additions of every row of LoRA, if the caller has already computed them.
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
    /// Returns the scale of the norm before the branch, with the factor applied.
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

/// The factor on a branch: a constant times a value that depends on the iteration.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    /// The constant; `None` means 1.
    pub(crate) fixed: Option<f64>,
    /// The value that depends on the iteration: `[1]`, or `[d_model]` with a value for each
    /// channel. `None` means 1.
    pub(crate) learned: Option<Tensor<1>>,
}

impl Factor {
    fn is_one(&self) -> bool {
        self.fixed.is_none() && self.learned.is_none()
    }

    /// Returns the last matrix of a branch, multiplied by the factor.
    ///
    /// # Shapes
    ///
    /// `matrix` and the result: `[d_in, d_model]`.
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

    /// Returns the scale of a norm, multiplied by the factor. A missing scale counts as ones, with
    /// the device and the width of `like`, `[d_in, d_model]`.
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

/// Returns the sum of a matrix and its addition.
pub(crate) fn with_added(matrix: Tensor<2>, added: Option<&Tensor<2>>) -> Tensor<2> {
    match added {
        Some(added) => matrix + added.clone(),
        None => matrix,
    }
}

#[cfg(test)]
mod tests;
