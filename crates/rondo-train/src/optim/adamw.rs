//! Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101).

use burn::tensor::Tensor;
use rondo_kernels::update::{self, Parameter, Step};
use serde::{Deserialize, Serialize};

use super::{Moments, Rates};

/// `p ← p − η·λ·p − η·m̂ / (√v̂ + ε)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Decay of the first moment, β₁.
    pub beta1: f64,
    /// Decay of the second moment, β₂.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// λ, multiplied by the learning rate.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
        }
    }
}

impl AdamW {
    /// As [`Self::update`] of the gradient times `gradient_scale`, in place.
    pub(super) fn update_in_place(
        &self,
        parameter: Parameter<'_>,
        rates: Rates,
        gradient_scale: f64,
    ) {
        let step = Step {
            lr: rates.lr,
            decay: match rates.decayed {
                true => rates.lr * self.weight_decay,
                false => 0.0,
            },
            beta1: self.beta1,
            beta2: self.beta2,
            update: rates.update,
            gradient_scale,
        };
        update::adamw(parameter, step, self.eps);
    }

    pub(super) fn update(
        &self,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        moments: Moments,
        rates: Rates,
    ) -> (Tensor<1>, Moments) {
        let square = gradient.clone().square();
        let first = blend(moments.first, gradient, self.beta1);
        let second = blend(moments.second, square, self.beta2);
        // η·m̂/(√v̂ + ε) with both corrections folded into two numbers.
        let (c1, c2) = corrections(self.beta1, self.beta2, rates.update);
        let scale = second.clone().sqrt() + self.eps * c2.sqrt();
        let delta = first.clone() / scale * (rates.lr * c2.sqrt() / c1);
        let decayed = match rates.decayed {
            true => parameter * (1.0 - rates.lr * self.weight_decay),
            false => parameter,
        };
        (
            decayed - delta,
            Moments {
                first: Some(first),
                second: Some(second),
            },
        )
    }
}

/// Returns `β·old + (1 − β)·new`, where nothing counts as zero.
fn blend(old: Option<Tensor<1>>, new: Tensor<1>, beta: f64) -> Tensor<1> {
    let new = new * (1.0 - beta);
    match old {
        Some(old) => old * beta + new,
        None => new,
    }
}

/// Returns the bias corrections `1 − β₁ᵗ` and `1 − β₂ᵗ`.
pub(super) fn corrections(beta1: f64, beta2: f64, update: u64) -> (f64, f64) {
    let correction = |beta: f64| 1.0 - beta.powf(update as f64);
    (correction(beta1), correction(beta2))
}
