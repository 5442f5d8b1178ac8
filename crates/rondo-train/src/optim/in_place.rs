//! Updates in the memory of the parameter, where it is this process's own: on flex.
//!
//! Elsewhere a rule is composed of Burn operations, which a device may fuse as it likes.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Tensor, TensorData};
use rondo_kernels::update::{Parameter, sum_of_squares};
use rondo_model::ops::on_flex;

use super::Moments;

type Primitive = FloatTensor<Flex>;

/// Calls `rule` on a parameter, its moments, zero before the first update, and its gradient.
///
/// # Panics
///
/// Panics where one of them is not f32 on flex, or their lengths differ.
pub(super) fn update(
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
    rule: impl FnOnce(Parameter<'_>),
) -> (Tensor<1>, Moments) {
    let length = parameter.shape().num_elements();
    let zeros = || Primitive::from_data(TensorData::new(vec![0.0_f32; length], [length]));
    let [mut first, mut second] =
        [moments.first, moments.second].map(|moment| moment.map_or_else(zeros, owned));
    let (mut value, gradient) = (owned(parameter), owned(gradient));
    rule(Parameter {
        value: value.storage_mut(),
        first: first.storage_mut(),
        second: second.storage_mut(),
        gradient: gradient.storage(),
    });
    let moments = Moments {
        first: Some(Tensor::from_primitive::<Flex>(first)),
        second: Some(Tensor::from_primitive::<Flex>(second)),
    };
    (Tensor::from_primitive::<Flex>(value), moments)
}

/// Returns the L2 norm of tensors together; none where one of them is not f32 on flex.
pub(super) fn norm(tensors: &[Tensor<1>]) -> Option<f64> {
    let squares = tensors.iter().map(|x| {
        on_flex(x).then(|| {
            let x = owned(x.clone());
            sum_of_squares(x.storage())
        })
    });
    squares.sum::<Option<f64>>().map(f64::sqrt)
}

/// Returns the tensor's memory, contiguous and from its start.
fn owned(x: Tensor<1>) -> Primitive {
    let x = x
        .try_into_primitive::<Flex>()
        .expect("a tensor of flex outside the graph");
    let whole = x.shape().num_elements() * size_of::<f32>() == x.bytes().len();
    if whole && x.is_contiguous() {
        return x;
    }
    let copy = x.to_contiguous().into_data();
    Primitive::from_data(copy)
}
