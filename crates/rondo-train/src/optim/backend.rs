//! The parts of a step that a backend computes with its own kernels.

use burn::tensor::Tensor;
#[cfg(feature = "cube")]
use rondo_cube::update::StepNumbers;
use rondo_kernels::update::{Rule, Update};
use rondo_model::ops::Backend;

#[cfg(feature = "cube")]
use super::cube::OnDevice;
use super::flex::InPlace;
use super::sum::total;
use super::{Gate, Moments, adamw, raven_adam};
use crate::error::Result;
use crate::step::read;

/// Values that all updates of one step use.
pub(super) struct SharedStep<'a> {
    /// The update of a parameter that has weight decay.
    pub(super) update: Update,
    /// Scales or rejects every update of the step.
    pub(super) gate: &'a Gate,
    /// The numbers of the step on the device. `None` before an update has needed them.
    #[cfg(feature = "cube")]
    pub(super) numbers: Option<StepNumbers>,
}

impl<'a> SharedStep<'a> {
    pub(super) fn new(update: Update, gate: &'a Gate) -> Self {
        Self {
            update,
            gate,
            #[cfg(feature = "cube")]
            numbers: None,
        }
    }
}

/// The parts of a step that a backend can compute itself. The default methods are composed of Burn
/// operations.
pub(super) trait Updates {
    /// Returns the L2 norm of all elements of all tensors, `[1]`.
    fn norm(&self, tensors: &[Tensor<1>]) -> Tensor<1> {
        let squares = tensors.iter().map(|x| total(x.clone().square())).collect();
        Tensor::cat(squares, 0).sum().sqrt()
    }

    /// Returns the sum of the squares of a tensor.
    ///
    /// # Errors
    ///
    /// When the device fails.
    fn sum_of_squares(&self, tensor: &Tensor<1>) -> Result<f64> {
        Ok(f64::from(read(total(tensor.clone().square()))?[0]))
    }

    /// Updates a parameter and its moments as a part of `step`.
    fn update(
        &self,
        update: Update,
        step: &mut SharedStep<'_>,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        moments: Moments,
    ) -> (Tensor<1>, Moments) {
        let composed = |value, gradient, moments| compose(update, value, gradient, moments);
        step.gate.apply(parameter, gradient, moments, composed)
    }
}

/// A backend in which everything is composed of Burn operations.
pub(super) struct Composition;

impl Updates for Composition {}

/// Returns the implementation of [`Updates`] for a backend.
pub(super) fn updates(backend: Backend) -> &'static dyn Updates {
    match backend {
        Backend::Flex => &InPlace,
        #[cfg(feature = "cube")]
        Backend::Cube => &OnDevice,
        #[cfg(not(feature = "cube"))]
        Backend::Cube => &Composition,
        Backend::Composed => &Composition,
    }
}

/// Updates a parameter and its moments with Burn operations.
pub(super) fn compose(
    Update { rule, step }: Update,
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
) -> (Tensor<1>, Moments) {
    match rule {
        Rule::AdamW { eps } => adamw::compose(eps, step, parameter, gradient, moments),
        Rule::RavenAdam { update_clipping } => {
            raven_adam::compose(update_clipping, step, parameter, gradient, moments)
        }
    }
}

/// Returns a parameter after weight decay.
pub(super) fn decayed(parameter: Tensor<1>, decay: f64) -> Tensor<1> {
    if decay > 0.0 {
        parameter * (1.0 - decay)
    } else {
        parameter
    }
}
