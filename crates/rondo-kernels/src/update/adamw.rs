//! Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101).

use super::{Parameter, Step, blend, shares};
use crate::vector::vectorized;

/// Updates a parameter and its moments by AdamW.
///
/// ```text
/// m ← β₁·m + (1 − β₁)·g         v ← β₂·v + (1 − β₂)·g²
/// p ← p·(1 − decay) − η · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)
/// ```
///
/// # Panics
///
/// Panics where the slices have different lengths.
pub(super) fn adamw(parameter: Parameter<'_>, step: Step, eps: f64) {
    let (c1, c2) = step.corrections();
    let (beta1, beta2) = (shares(step.beta1), shares(step.beta2));
    let gradient_scale = step.gradient_scale as f32;
    let kept = (1.0 - step.decay) as f32;
    // Both corrections are moved into ε and the rate, so each element needs only one root and one
    // division.
    let eps = (eps * c2.sqrt()) as f32;
    let rate = (step.lr * c2.sqrt() / c1) as f32;
    parameter.in_pieces(|piece| {
        vectorized(
            #[inline(always)]
            || {
                let moments = piece.first.iter_mut().zip(piece.second);
                let elements = piece.value.iter_mut().zip(moments).zip(piece.gradient);
                for ((p, (m, v)), g) in elements {
                    let g = g * gradient_scale;
                    *m = blend(*m, g, beta1);
                    *v = blend(*v, g * g, beta2);
                    *p = *p * kept - *m / (v.sqrt() + eps) * rate;
                }
            },
        );
    });
}
