//! `(1 − α) s + α e` or `s + α e` with one learned α.
//!
//! `s + α e` is the scalar initial-state injection of arXiv 2609.36636, §5.1, where α starts at 0.
//! arXiv 2610.00673 converts a dense model into a looped model with one learned scalar that mixes
//! in the input. Its abstract does not give the formula; this module assumes `(1 − α) s + α e`.

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

    /// Returns the factor on the state, `[1]`.
    pub(super) fn factor(&self) -> Tensor<1> {
        let alpha = self.alpha.val().without_autodiff();
        match self.mix {
            Mix::Mean => -alpha + 1.0,
            Mix::Sum => alpha.ones_like(),
        }
    }
}
