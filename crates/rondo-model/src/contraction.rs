//! By how much what stands between two iterations shrinks the state.

use burn::tensor::Tensor;

/// The sizes of the factors by which the channels of a state are multiplied on their way into an iteration; each of its values is
/// `[1]` on the device, or a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Contraction<T = Tensor<1>> {
    /// Their mean.
    pub mean: T,
    /// The largest.
    pub max: T,
}

impl Contraction {
    /// Measures factors, `[channels]`.
    pub(crate) fn of(factors: Tensor<1>) -> Self {
        let sizes = factors.abs();
        Self {
            mean: sizes.clone().mean(),
            max: sizes.max(),
        }
    }
}
