//! Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101).

use burn::tensor::Tensor;
use rondo_kernels::update::{Rule, Step, Update};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backend::decayed;
use super::{Moments, Rates};

/// `p ← p − η·λ·p − η·m̂ / (√v̂ + ε)`: the parameter p, its first moment m̂ and second moment v̂,
/// both with bias correction.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// β₁, the decay of the first moment.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta1: f64,
    /// β₂, the decay of the second moment.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub beta2: f64,
    /// ε, which is added to the root of the second moment.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub eps: f64,
    /// λ, the weight decay. It is multiplied by the learning rate.
    #[schemars(range(min = 0))]
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
    /// Returns the update that this rule makes with `rates`.
    pub(super) fn describe(&self, rates: Rates) -> Update {
        let decay = rates.lr * self.weight_decay;
        Update {
            rule: Rule::AdamW { eps: self.eps },
            step: rates.step([self.beta1, self.beta2], decay),
        }
    }
}

/// Updates a parameter and its moments with Burn operations.
pub(super) fn compose(
    eps: f64,
    step: Step,
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    moments: Moments,
) -> (Tensor<1>, Moments) {
    let square = gradient.clone().square();
    let first = blend(moments.first, gradient, step.beta1);
    let second = blend(moments.second, square, step.beta2);
    // This is η·m̂/(√v̂ + ε). Both bias corrections are contained in two numbers.
    let (c1, c2) = step.corrections();
    let scale = second.clone().sqrt() + eps * c2.sqrt();
    let delta = first.clone() / scale * (step.lr * c2.sqrt() / c1);
    (
        decayed(parameter, step.decay) - delta,
        Moments {
            first: Some(first),
            second: Some(second),
        },
    )
}

/// Returns `β·old + (1 − β)·new`; a missing `old` counts as zero.
fn blend(old: Option<Tensor<1>>, new: Tensor<1>, beta: f64) -> Tensor<1> {
    let new = new * (1.0 - beta);
    match old {
        Some(old) => old * beta + new,
        None => new,
    }
}
