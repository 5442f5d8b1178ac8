//! The Adam of recurrent pretraining (Geiping et al. 2025, arXiv 2502.05171, §4.1): update clipping,
//! and atan2 in the place of ε.

use super::atan2::atan2;
use super::{Parameter, Step, blend, shares};
use crate::vector::{sum_pairs_f64, vectorized};

/// The smallest second moment that update clipping divides by.
const SMALLEST_SECOND_MOMENT: f32 = 1e-12;

/// Updates a parameter and its moments by RavenAdam.
///
/// ```text
/// m ← β₁·m + (1 − β₁)·g         v ← β₂·v + (1 − β₂)·g²         m = g, v = g² at the first update
/// η' = η / max(1, √mean(g² / max(v, 1e-12)))      over the whole parameter; η without clipping
/// p ← p·(1 − decay) − η' / (1 − β₁ᵗ) · atan2(m, √v / √(1 − β₂ᵗ))
/// ```
///
/// # Panics
///
/// Panics where the slices have different lengths.
pub fn raven_adam(mut parameter: Parameter<'_>, step: Step, update_clipping: bool) {
    let (c1, c2) = step.corrections();
    let squares = move_moments(parameter.reborrow(), step);
    let mean = squares / parameter.value.len() as f64;
    // Written so that NaN is not taken for 1.
    let excess = if !update_clipping || mean <= 1.0 {
        1.0
    } else {
        mean.sqrt()
    };
    let kept = (1.0 - step.decay) as f32;
    let rate = (step.lr / c1 / excess) as f32;
    let correction = c2.sqrt().recip() as f32;
    parameter.in_pieces(|piece| {
        vectorized(
            #[inline(always)]
            || {
                let moments = piece.first.iter().zip(piece.second.iter());
                for (p, (m, v)) in piece.value.iter_mut().zip(moments) {
                    *p = *p * kept - atan2(*m, v.sqrt() * correction) * rate;
                }
            },
        );
    });
}

/// Updates the moments and returns `Σ g² / max(v, 1e-12)`.
fn move_moments(parameter: Parameter<'_>, step: Step) -> f64 {
    let [beta1, beta2] = match step.update {
        1 => [[0.0, 1.0]; 2],
        _ => [shares(step.beta1), shares(step.beta2)],
    };
    let gradient_scale = step.gradient_scale as f32;
    let ratios = parameter.in_pieces(|piece| {
        vectorized(
            #[inline(always)]
            || {
                let moments = piece.first.iter_mut().zip(piece.second.iter_mut());
                for ((m, v), g) in moments.zip(piece.gradient) {
                    let g = g * gradient_scale;
                    *m = blend(*m, g, beta1);
                    *v = blend(*v, g * g, beta2);
                }
                sum_pairs_f64(piece.gradient, piece.second, |g, v| {
                    let g = g * gradient_scale;
                    let floor = SMALLEST_SECOND_MOMENT;
                    f64::from(g * g / if v < floor { floor } else { v })
                })
            },
        )
    });
    ratios.iter().sum()
}
