//! The Adam of the reference implementation (arXiv 2502.05171, §4.1, and its code): with update
//! clipping, and with atan2 instead of ε.
//!
//! ```text
//! m, v   as in Adam, started at the first update from m = g, v = g²
//! v      ← max(v, 1e-12)                              stored; only with update clipping
//! η'     = η / max(1, √mean(g² / v))                  per tensor, v not corrected
//! p      ← p·(1 − (η / η_peak)·λ)                     λ is per step, not multiplied by η
//! p      ← p − η' / (1 − β₁ᵗ) · atan2(m, √v / √(1 − β₂ᵗ))
//! ```
//!
//! There are two published forms of Adam with atan2. In this one (the CUDA package `adam_atan2`),
//! the correction of the first moment is outside the arctangent. The other form, from the paper
//! that proposed atan2 (Everett et al. 2024, arXiv 2407.05872), uses `η·atan2(m / (1 − β₁ᵗ), √(v /
//! (1 − β₂ᵗ)))`. It is not available here.

use burn::tensor::Tensor;
use rondo_kernels::update::{Rule, Step, Update};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backend::decayed;
use super::sum::total;
use super::{Moments, Rates};

/// The lower bound of the second moment if updates are clipped: ε² with ε = 1e-6.
const SMALLEST_SECOND_MOMENT: f64 = 1e-12;

/// The constants of the Adam of the reference implementation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RavenAdam {
    /// β₁, the decay of the first moment.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta1: f64,
    /// β₂, the decay of the second moment.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta2: f64,
    /// λ, the weight decay per step. It is multiplied by η / η_peak.
    #[schemars(range(min = 0))]
    pub weight_decay: f64,
    /// Whether the update of each tensor is clipped: η' replaces η.
    pub update_clipping: bool,
}

impl Default for RavenAdam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.95,
            weight_decay: 4e-5,
            update_clipping: true,
        }
    }
}

impl RavenAdam {
    /// Returns the update that this rule makes with `rates`.
    pub(super) fn describe(&self, rates: Rates) -> Update {
        let decay = rates.lr / rates.peak * self.weight_decay;
        Update {
            rule: Rule::RavenAdam {
                update_clipping: self.update_clipping,
            },
            step: rates.step([self.beta1, self.beta2], decay),
        }
    }
}

/// Updates a parameter and its moments with Burn operations.
pub(super) fn compose(
    update_clipping: bool,
    step: Step,
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
) -> (Tensor<1>, Moments) {
    let square = gradient.clone().square();
    let blend = |old: Option<Tensor<1>>, new: Tensor<1>, beta: f64| match old {
        Some(old) => old * beta + new * (1.0 - beta),
        None => new,
    };
    let first = blend(moments.first, gradient, step.beta1);
    let second = blend(moments.second, square.clone(), step.beta2);
    let second = match update_clipping {
        true => second.clamp_min(SMALLEST_SECOND_MOMENT),
        false => second,
    };
    let (c1, c2) = step.corrections();
    let mut direction = first
        .clone()
        .atan2(second.clone().sqrt() * c2.sqrt().recip());
    if update_clipping {
        let count = square.shape().num_elements() as f64;
        let ratio = total(square / second.clone()) / count;
        direction = direction / ratio.sqrt().clamp_min(1.0);
    }
    (
        decayed(parameter, step.decay) - direction * (step.lr / c1),
        Moments {
            first: Some(first),
            second: Some(second),
        },
    )
}
