//! The gated MLP: `W_out(SiLU(a) ⊙ b)`, a and b the halves of `W_in x` (Shazeer 2020, arXiv 2002.05202).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::init::Weights;
use crate::ops::{self, Branch, Norms, Precision};

/// A gated MLP with one fused input matrix.
#[derive(Module, Debug)]
pub struct FeedForward {
    in_proj: Param<Tensor<2>>,
    out_proj: Param<Tensor<2>>,
    #[module(skip)]
    precision: Precision,
}

impl FeedForward {
    /// Builds the MLP at path `name`.
    pub fn new(name: &str, weights: &Weights<'_>) -> Self {
        Self {
            in_proj: weights.get(&format!("{name}.in_proj")),
            out_proj: weights.get(&format!("{name}.out_proj")),
            precision: weights.precision(),
        }
    }

    /// Applies the MLP with its norms and its residual connection.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn sublayer(&self, x: Tensor<3>, norms: Norms) -> Tensor<3> {
        let branch = || Branch::FeedForward {
            in_proj: self.in_proj.val(),
            out_proj: self.out_proj.val(),
        };
        ops::sublayer(x, norms, self.precision, branch, |x| self.forward(x))
    }

    /// Applies the MLP to every token.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_in]` to `[batch, seq, d_model]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let in_proj = self.in_proj.val();
        let [_, both] = in_proj.dims();
        let d_ff = both / 2;
        let a = ops::project_columns(x.clone(), in_proj.clone(), 0..d_ff);
        let b = ops::project_columns(x, in_proj, d_ff..both);
        ops::project(ops::gated_silu(a, b), self.out_proj.val())
    }
}
