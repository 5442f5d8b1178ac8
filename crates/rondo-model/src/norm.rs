//! Root-mean-square norm with or without a learned scale (Zhang & Sennrich 2019, arXiv 1910.07467).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::config::NormConfig;
use crate::init::Weights;
use crate::ops::{self, Norm};

/// `x / √(mean(x²) + eps) ⊙ scale` over the features of each token.
#[derive(Module, Debug)]
pub struct RmsNorm {
    scale: Option<Param<Tensor<1>>>,
    #[module(skip)]
    norm: Norm,
}

impl RmsNorm {
    /// Builds the norm at path `name`.
    pub fn new(config: NormConfig, name: &str, weights: &Weights<'_>) -> Self {
        let scale = config
            .learned
            .then(|| weights.get(&format!("{name}.scale")));
        Self {
            scale,
            norm: Norm {
                eps: config.eps as f32,
            },
        }
    }

    /// Normalises every token.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        ops::of(&x).norm(self.norm, x, self.scale())
    }

    /// Returns the description of the norm, without its scale.
    pub fn description(&self) -> Norm {
        self.norm
    }

    /// Returns the scale, `[d_model]`, if the norm has one.
    pub fn scale(&self) -> Option<Tensor<1>> {
        self.scale.as_ref().map(Param::val)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn a_token_is_divided_by_the_root_of_its_mean_square_and_scaled() {
        let device = Device::flex();
        let norm = RmsNorm {
            scale: Some(Param::from_tensor(Tensor::from_data([1.0, 10.0], &device))),
            norm: Norm { eps: 0.0 },
        };
        let y = norm.forward(Tensor::from_data([[[3.0, 4.0]]], &device));
        // √((3² + 4²) / 2) = 5 / √2.
        let expected = [3.0, 40.0].map(|x| x * 2.0_f32.sqrt() / 5.0);
        for (found, expected) in y.into_data().iter::<f32>().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        }
    }
}
