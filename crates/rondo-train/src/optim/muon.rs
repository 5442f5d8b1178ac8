//! Muon (Jordan et al. 2024): the update is the momentum, orthogonalized by Newton–Schulz
//! iterations.
//!
//! ```text
//! B ← μ·B + G;   U = orthogonalise(G + μ·B);   W ← W·(1 − η·λ) − η·0.2·√max(rows, cols)·U
//! ```
//!
//! Here G is the gradient, B the momentum and W the matrix. The factor 0.2·√max(rows, cols) gives
//! the update the same root mean square as an AdamW update, so that matrices and other parameters
//! can use one learning rate (Liu et al. 2025, arXiv 2502.16982, §2.2).
//!
//! This is the update of `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`. The original
//! form has the factor √max(1, rows/cols) for matrices stored `[d_out, d_in]`, and needs its own
//! learning rate. `torch.optim.Muon` and the original form differ from this implementation in two
//! ways:
//!
//! * Both write `B ← μ·B + (1 − μ)·G`. The factor 1 − μ has no effect, because Newton–Schulz starts
//!   from a matrix divided by its norm.
//! * Both run Newton–Schulz in bf16. This implementation runs Newton–Schulz in f32, even if the
//!   model is trained in bf16.

use burn::tensor::Tensor;
use rondo_model::ops::{Precision, Product, of};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adamw::AdamW;
use super::{Moments, Rates};

/// The coefficients of the polynomial of degree 5 that moves singular values towards 1.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// The usual root mean square of an AdamW update.
const ADAM_UPDATE_RMS: f64 = 0.2;

/// Muon for matrices, and AdamW for embedding, norms and biases.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Muon {
    /// μ, the decay of the momentum.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub momentum: f64,
    /// The number of Newton–Schulz iterations.
    pub iterations: usize,
    /// β₁ of AdamW.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta1: f64,
    /// β₂ of AdamW.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta2: f64,
    /// ε of AdamW.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub eps: f64,
    /// λ, the weight decay of all parameters. It is multiplied by the learning rate.
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
}

impl Default for Muon {
    fn default() -> Self {
        let AdamW {
            beta1,
            beta2,
            eps,
            weight_decay,
        } = AdamW::default();
        Self {
            momentum: 0.95,
            iterations: 5,
            beta1,
            beta2,
            eps,
            weight_decay,
        }
    }
}

impl Muon {
    /// Returns the rule for the parameters whose update is not orthogonalized.
    pub(super) fn rest(&self) -> AdamW {
        let Self {
            beta1,
            beta2,
            eps,
            weight_decay,
            ..
        } = *self;
        AdamW {
            beta1,
            beta2,
            eps,
            weight_decay,
        }
    }

    pub(super) fn update(
        &self,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        moments: Moments,
        rates: Rates,
        [rows, cols]: [usize; 2],
    ) -> (Tensor<1>, Moments) {
        let buffer = match moments.first {
            Some(old) => old * self.momentum + gradient.clone(),
            None => gradient.clone(),
        };
        let nesterov = gradient + buffer.clone() * self.momentum;
        let direction = orthogonalise(nesterov.reshape([rows, cols]), self.iterations);
        let scale = ADAM_UPDATE_RMS * (rows.max(cols) as f64).sqrt();
        let decayed = parameter * (1.0 - rates.lr * self.weight_decay);
        let updated = decayed - direction.reshape([rows * cols]) * (rates.lr * scale);
        (
            updated,
            Moments {
                first: Some(buffer),
                second: None,
            },
        )
    }
}

/// Returns a matrix with the singular vectors of `matrix`. The singular values that are not zero
/// are moved to between 0.68 and 1.14. The iteration starts from `X = matrix / (‖matrix‖ + 1e-7)`
/// and repeats `X ← aX + (bA + cA²)X` with `A = XXᵀ`.
pub(super) fn orthogonalise(matrix: Tensor<2>, iterations: usize) -> Tensor<2> {
    let [rows, cols] = matrix.dims();
    let tall = rows > cols;
    let wide = if tall { matrix.transpose() } else { matrix };
    let norm = wide.clone().square().sum().sqrt() + 1e-7;
    let mut x = wide / norm.unsqueeze();
    let [a, b, c] = QUINTIC;
    let ops = of(&x);
    let times = |a, b| ops.product(Product::plain(Precision::F32), a, b);
    for _ in 0..iterations {
        let square = Product::with_transposed(Precision::F32);
        let gram = ops.product(square, x.clone(), x.clone());
        let polynomial = gram.clone() * b + times(gram.clone(), gram) * c;
        x = x.clone() * a + times(polynomial, x);
    }
    if tall { x.transpose() } else { x }
}
