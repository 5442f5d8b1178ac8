//! How strongly the state is scaled between two iterations.

use burn::tensor::Tensor;

/// Statistics of the factors that multiply the channels of a state on its way into an iteration, as
/// absolute values. Each statistic is a tensor `[1]` on the device, or a number read from the
/// device.
#[derive(Clone, Debug, PartialEq)]
pub struct Contraction<T = Tensor<1>> {
    /// The mean of the absolute values.
    pub mean: T,
    /// The maximum of the absolute values.
    pub max: T,
}

impl Contraction {
    /// Computes the statistics of `factors`, `[channels]`.
    pub(crate) fn of(factors: Tensor<1>) -> Self {
        let sizes = factors.abs();
        Self {
            mean: sizes.clone().mean(),
            max: sizes.max(),
        }
    }
}
