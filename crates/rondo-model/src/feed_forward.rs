//! The gated MLP: `W_out(SiLU(a) ⊙ b)`, where a and b are the halves of `W_in x` (Shazeer 2020,
//! arXiv 2002.05202).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::init::Weights;
use crate::ops::{self, FeedForwardWeights, composed};

/// A gated MLP with one fused input matrix.
#[derive(Module, Debug)]
pub struct FeedForward {
    in_proj: Param<Tensor<2>>,
    out_proj: Param<Tensor<2>>,
    #[module(skip)]
    description: ops::FeedForward,
}

impl FeedForward {
    /// Builds the MLP at path `name`.
    pub fn new(name: &str, weights: &Weights<'_>) -> Self {
        Self {
            in_proj: weights.get(&format!("{name}.in_proj")),
            out_proj: weights.get(&format!("{name}.out_proj")),
            description: ops::FeedForward {
                precision: weights.precision(),
            },
        }
    }

    /// Returns the description of the MLP, without its weights.
    pub fn description(&self) -> ops::FeedForward {
        self.description
    }

    /// Returns the MLP's weights.
    pub fn weights(&self) -> FeedForwardWeights<Tensor<2>> {
        FeedForwardWeights {
            in_proj: self.in_proj.val(),
            out_proj: self.out_proj.val(),
        }
    }

    /// Applies the MLP to every token.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_in]` to `[batch, seq, d_model]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let precision = self.description.precision;
        composed::feed_forward(ops::of(&x), precision, self.weights(), x)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::ops::Precision;

    #[test]
    fn one_half_gates_the_other_through_silu() {
        let device = Device::flex();
        let matrix = |values: Tensor<2>| Param::from_tensor(values);
        let mlp = FeedForward {
            in_proj: matrix(Tensor::from_data([[1.0, 3.0]], &device)),
            out_proj: matrix(Tensor::from_data([[0.5]], &device)),
            description: ops::FeedForward {
                precision: Precision::F32,
            },
        };
        let y: f32 = mlp
            .forward(Tensor::from_data([[[2.0]]], &device))
            .into_scalar();
        // a = 2, b = 6: 0.5 · 6 · 2 / (1 + e⁻²).
        assert!((y - 6.0 / (1.0 + (-2.0_f32).exp())).abs() < 1e-6, "{y}");
    }
}
