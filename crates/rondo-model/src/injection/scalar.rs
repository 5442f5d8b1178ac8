//! `(1 − α) s + α e` or `s + α e` with one learned α.
//!
//! The sum is the scalar initial-state injection of arXiv 2609.36636, §5.1, where α starts at 0.
//! arXiv 2610.00673 converts a dense model into a looped one with one learned scalar that mixes in
//! the input. The published abstract does not give the formula; this module assumes the mean.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::config::ScalarForm;
use crate::init::Weights;
use crate::ops::{self, Mix, MixTensors};

/// The learned number α.
#[derive(Module, Debug)]
pub struct Scalar {
    alpha: Param<Tensor<1>>,
    #[module(skip)]
    mix: Mix,
}

impl Scalar {
    pub(super) fn new(form: ScalarForm, weights: &Weights<'_>) -> Self {
        Self {
            alpha: weights.get("injection.alpha"),
            mix: match form {
                ScalarForm::Mean => Mix::Mean,
                ScalarForm::Sum => Mix::Sum,
            },
        }
    }

    pub(super) fn forward(&self, state: Tensor<3>, embedding: Tensor<3>) -> Tensor<3> {
        let tensors = MixTensors {
            x: state,
            embedding,
            alpha: self.alpha.val(),
        };
        ops::of(&tensors.x).mix(self.mix, tensors)
    }

    /// Returns the factor of the state, `[1]`.
    pub(super) fn factor(&self) -> Tensor<1> {
        let alpha = self.alpha.val().without_autodiff();
        match self.mix {
            Mix::Mean => -alpha + 1.0,
            Mix::Sum => alpha.ones_like(),
        }
    }
}
