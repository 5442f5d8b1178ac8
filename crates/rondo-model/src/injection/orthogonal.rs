//! `(r − c u) + u` with `r = e^(−Δa) ⊙ s`, `u = Δ ⊙ (e · W)` and, for each token,
//! `c = ⟨r, u⟩ / (‖u‖² + 1e-6)` (OrthoInj in xLLM-Loop, arXiv 2610.06833).
//!
//! The component of the state along the update is removed before the update is added, so that e
//! cannot accumulate over iterations.

use burn::module::Module;
use burn::tensor::Tensor;

use super::rates::Rates;
use crate::init::Weights;
use crate::ops::{self, Coefficient, OrthogonalTensors};

/// A decay for each channel, a matrix for e, and a projection.
#[derive(Module, Debug)]
pub struct Orthogonal {
    rates: Rates,
}

impl Orthogonal {
    pub(super) fn new(weights: &Weights<'_>) -> Self {
        Self {
            rates: Rates::new(weights),
        }
    }

    /// Returns the update u.
    pub(super) fn prepare(&self, embedding: Tensor<3>) -> Tensor<3> {
        self.rates.update(Coefficient::Step, embedding)
    }

    /// Returns the decayed state without its component along `update`, plus `update`.
    pub(super) fn forward(&self, state: Tensor<3>, update: Tensor<3>) -> Tensor<3> {
        let tensors = OrthogonalTensors {
            x: state,
            update,
            a_log: self.rates.a_log(),
            dt_bias: self.rates.dt_bias(),
        };
        ops::of(&tensors.x).orthogonal(tensors)
    }

    /// Returns the decay of each channel, `[d_model]`.
    pub(super) fn decay(&self) -> Tensor<1> {
        self.rates.decay()
    }
}
