//! The gated MLP: `W_out(SiLU(a) ⊙ b)`, a and b the halves of `W_in x` (Shazeer 2020, arXiv 2002.05202).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::init::Weights;
use crate::ops;

/// A gated MLP with one fused input matrix.
#[derive(Module, Debug)]
pub struct FeedForward {
    in_proj: Param<Tensor<2>>,
    out_proj: Param<Tensor<2>>,
}

impl FeedForward {
    /// Builds the MLP at path `name`.
    pub fn new(name: &str, weights: &Weights<'_>) -> Self {
        Self {
            in_proj: weights.draw(&format!("{name}.in_proj")),
            out_proj: weights.draw(&format!("{name}.out_proj")),
        }
    }

    /// Applies the MLP to every token.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_in]` to `[batch, seq, d_model]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gated = ops::gated_silu(ops::project(x, self.in_proj.val()));
        ops::project(gated, self.out_proj.val())
    }
}
