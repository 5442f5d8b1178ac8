//! `[s ; e] · W` with the adapter W, `[2 d_model, d_model]`. The state comes first, and there is no
//! bias (Geiping et al. 2025, arXiv 2502.05171, §3.2).

use std::ops::Range;

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::init::Weights;
use crate::ops::{self, Precision, Projection, ProjectionTensors};

/// Computes `s · W_s + e · W_e`, where W_s and W_e are the halves of W. The second product is
/// computed once per pass.
#[derive(Module, Debug)]
pub struct Linear {
    adapter: Param<Tensor<2>>,
    #[module(skip)]
    precision: Precision,
}

impl Linear {
    pub(super) fn new(weights: &Weights<'_>) -> Self {
        Self {
            adapter: weights.get("injection.adapter"),
            precision: weights.precision(),
        }
    }

    /// Returns `e · W_e`.
    pub(super) fn prepare(&self, embedding: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = embedding.dims();
        self.project(width..2 * width, embedding, None)
    }

    /// Returns `s · W_s + prepared`.
    pub(super) fn forward(&self, state: Tensor<3>, prepared: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = state.dims();
        self.project(0..width, state, Some(prepared))
    }

    /// Returns `base` plus the product of `x` with the half `rows` of W.
    fn project(&self, rows: Range<usize>, x: Tensor<3>, base: Option<Tensor<3>>) -> Tensor<3> {
        let (precision, weight) = (self.precision, self.adapter.val());
        let projection = Projection { rows, precision };
        ops::of(&x).project(projection, ProjectionTensors { x, weight, base })
    }
}

#[cfg(test)]
impl Linear {
    pub(super) fn with_adapter(matrix: Tensor<2>) -> Self {
        Self {
            adapter: Param::from_tensor(matrix),
            precision: Precision::F32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn it_is_the_product_of_state_and_embedding_side_by_side() {
        let device = Device::flex();
        let adapter =
            Tensor::<2>::from_data([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0], [1.0, 1.0]], &device);
        let linear = Linear::with_adapter(adapter);
        let prepared = linear.prepare(Tensor::from_data([[[5.0, 7.0]]], &device));
        let state = Tensor::from_data([[[1.0, 2.0]]], &device);
        let injected: Vec<f32> = linear.forward(state, prepared).into_data().iter().collect();
        // (1, 2, 5, 7) · W.
        assert_eq!(injected, [1.0 + 15.0 + 7.0, 2.0 + 2.0 + 7.0]);
    }
}
