//! Clips gradients by their global norm, and rejects updates whose gradient is not finite.

use burn::tensor::{Bool, Tensor};
use rondo_model::gradients::FlatGradients;
use rondo_model::ops::Backend;

use super::Moments;
use super::backend::updates;
use crate::error::Result;

/// Is added to the norm, so that a zero norm does not cause a division by 0.
const NORM_EPS: f64 = 1e-6;

/// Returns the L2 norm of all elements of all gradients, `[1]`.
///
/// # Panics
///
/// Panics if there are no gradients.
pub fn global_norm(gradients: &FlatGradients) -> Tensor<1> {
    let tensors = gradients.tensors();
    updates(Backend::of(&tensors[0])).norm(tensors)
}

/// Returns the sum of the squares of a gradient. [`global_norm`] is the square root of the total of
/// these sums.
///
/// # Errors
///
/// When the device fails.
pub(crate) fn sum_of_squares(gradient: &Tensor<1>) -> Result<f64> {
    updates(Backend::of(gradient)).sum_of_squares(gradient)
}

/// Scales the gradients of an update, and decides whether the update is made.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one exists at a time, on the stack of a step"
)]
pub enum Gate {
    /// The norm was read and is finite. The gradients are multiplied by this number.
    Host(f64),
    /// The norm stays on the device, where it scales the gradients. If the norm is not finite,
    /// parameters and moments keep their values.
    Device {
        /// The factor for the gradients, `[1]`.
        scale: Tensor<1>,
        /// Whether the update is made, `[1]`.
        finite: Tensor<1, Bool>,
    },
}

impl Gate {
    /// Returns the gate for a norm that was read from the device.
    pub fn from_host(norm: f64, max_norm: Option<f64>) -> Self {
        Self::Host(max_norm.map_or(1.0, |max| (max / (norm + NORM_EPS)).min(1.0)))
    }

    /// Returns the gate for a norm `[1]` that stays on the device.
    pub fn from_device(norm: Tensor<1>, max_norm: Option<f64>) -> Self {
        let finite = norm.clone().is_finite();
        let scale = match max_norm {
            Some(max) => (norm + NORM_EPS).recip().mul_scalar(max).clamp_max(1.0),
            None => norm.ones_like(),
        };
        Self::Device { scale, finite }
    }

    /// Computes the update of a parameter and its moments by `rule`, from the scaled gradient. If
    /// the update is rejected, returns the old values.
    pub(super) fn apply(
        &self,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        moments: Moments,
        rule: impl FnOnce(Tensor<1>, Tensor<1>, Moments) -> (Tensor<1>, Moments),
    ) -> (Tensor<1>, Moments) {
        let scaled = self.scale(gradient);
        let (after, new) = rule(parameter.clone(), scaled, moments.clone());
        (
            self.choose(parameter, after),
            self.choose_moments(moments, new),
        )
    }

    /// Scales a gradient.
    fn scale(&self, gradient: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Host(scale) if *scale < 1.0 => gradient * *scale,
            Self::Host(_) => gradient,
            Self::Device { scale, .. } => gradient * scale.clone(),
        }
    }

    /// Returns the `new` moments if the update is made. Otherwise returns the `old` ones, or zeros
    /// if there were none.
    fn choose_moments(&self, old: Moments, new: Moments) -> Moments {
        let moment = |old: Option<Tensor<1>>, new: Option<Tensor<1>>| {
            new.map(|new| {
                let old = old.unwrap_or_else(|| new.zeros_like());
                self.choose(old, new)
            })
        };
        Moments {
            first: moment(old.first, new.first),
            second: moment(old.second, new.second),
        }
    }

    /// Returns `new` if the update is made, else `old`.
    fn choose(&self, old: Tensor<1>, new: Tensor<1>) -> Tensor<1> {
        match self {
            Self::Host(_) => new,
            Self::Device { finite, .. } => {
                let mask = finite.clone().expand(new.shape());
                old.mask_where(mask, new)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn vector(values: [f32; 2]) -> Tensor<1> {
        Tensor::from_data(values, &Device::flex())
    }

    fn values(x: Tensor<1>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    #[test]
    fn a_gradient_longer_than_the_bound_is_scaled_to_it_on_host_and_device() {
        let gradients = FlatGradients::new(vec![vector([3.0, 0.0]), vector([0.0, 4.0])]);
        let norm = global_norm(&gradients);
        let on_host: f64 = norm.clone().into_scalar();
        assert!((on_host - 5.0).abs() < 1e-6);
        for gate in [
            Gate::from_host(on_host, Some(1.0)),
            Gate::from_device(norm, Some(1.0)),
        ] {
            let scaled = values(gate.scale(vector([3.0, 4.0])));
            assert!((scaled[0] - 0.6).abs() < 1e-5 && (scaled[1] - 0.8).abs() < 1e-5);
        }
    }

    #[test]
    fn a_gradient_within_the_bound_is_left_alone() {
        assert_eq!(
            values(Gate::from_host(0.5, Some(1.0)).scale(vector([0.3, 0.4]))),
            [0.3, 0.4]
        );
    }

    #[test]
    fn a_norm_that_is_not_finite_keeps_the_old_values() {
        for bad in [f32::NAN, f32::INFINITY] {
            let norm = Tensor::<1>::from_data([bad], &Device::flex());
            let gate = Gate::from_device(norm, Some(1.0));
            let kept = values(gate.choose(vector([1.0, 2.0]), vector([f32::NAN, 9.0])));
            assert_eq!(kept, [1.0, 2.0]);
        }
    }
}
