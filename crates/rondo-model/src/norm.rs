//! Root-mean-square norm with or without a learned scale (Zhang & Sennrich 2019, arXiv 1910.07467).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::config::NormConfig;
use crate::init::Weights;
use crate::ops::Norm;

/// `x / √(mean(x²) + eps) ⊙ scale` over the features of each token.
#[derive(Module, Debug)]
pub struct RmsNorm {
    scale: Option<Param<Tensor<1>>>,
    #[module(skip)]
    eps: f64,
}

impl RmsNorm {
    /// Builds the norm at path `name`.
    pub fn new(config: NormConfig, name: &str, weights: &Weights<'_>) -> Self {
        let scale = config
            .learned
            .then(|| weights.get(&format!("{name}.scale")));
        Self {
            scale,
            eps: config.eps,
        }
    }

    /// Normalises every token.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.operand().forward(x)
    }

    /// Returns what an operation takes that contains this norm.
    pub fn operand(&self) -> Norm {
        Norm {
            scale: self.scale.as_ref().map(Param::val),
            eps: self.eps,
        }
    }
}
