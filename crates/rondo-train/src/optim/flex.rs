//! Updates parameters in their own memory, in f32 on flex, with the kernels of `rondo-kernels`.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Tensor, TensorData};
use rondo_kernels::update::{Parameter, Step, Update, sum_of_squares};

use super::backend::{Composition, SharedStep, Updates};
use super::{Gate, Moments};
use crate::error::Result;

type Primitive = FloatTensor<Flex>;

/// Computes updates with the kernels of `rondo-kernels`.
pub(super) struct InPlace;

impl Updates for InPlace {
    fn norm(&self, tensors: &[Tensor<1>]) -> Tensor<1> {
        let squares = tensors
            .iter()
            .map(|x| sum_of_squares(owned(x.clone()).storage()));
        let norm = squares.sum::<f64>().sqrt();
        Tensor::from_data([norm as f32], &tensors[0].device())
    }

    fn sum_of_squares(&self, tensor: &Tensor<1>) -> Result<f64> {
        Ok(sum_of_squares(owned(tensor.clone()).storage()))
    }

    fn update(
        &self,
        update: Update,
        step: &mut SharedStep<'_>,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        moments: Moments,
    ) -> (Tensor<1>, Moments) {
        let Gate::Host(gradient_scale) = *step.gate else {
            return Composition.update(update, step, parameter, gradient, moments);
        };
        let length = parameter.shape().num_elements();
        let zeros = || Primitive::from_data(TensorData::new(vec![0.0_f32; length], [length]));
        let [mut first, mut second] =
            [moments.first, moments.second].map(|moment| moment.map_or_else(zeros, owned));
        let (mut value, gradient) = (owned(parameter), owned(gradient));
        let step = Step {
            gradient_scale,
            ..update.step
        };
        Update { step, ..update }.apply(Parameter {
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
}

/// Returns a tensor whose elements fill its memory without gaps. Copies `x` only if it has gaps.
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
