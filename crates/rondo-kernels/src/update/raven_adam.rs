//! The variant of Adam from recurrent pretraining (Geiping et al. 2025, arXiv 2502.05171, §4.1). It
//! clips updates and uses atan2 instead of ε.

use super::atan2::atan2;
use super::{Parameter, Step, blend, shares};
use crate::vector::{sum_pairs_f64, vectorized};

/// The lower bound of the second moment under update clipping: ε² with ε = 1e-6.
const SMALLEST_SECOND_MOMENT: f32 = 1e-12;

/// Updates a parameter and its moments by RavenAdam.
///
/// ```text
/// m ← β₁·m + (1 − β₁)·g         v ← β₂·v + (1 − β₂)·g²         m = g, v = g² at the first update
/// v ← max(v, 1e-12)             η' = η / max(1, √mean(g² / v))   over the whole parameter
/// p ← p·(1 − decay) − η' / (1 − β₁ᵗ) · atan2(m, √v / √(1 − β₂ᵗ))
/// ```
///
/// Without update clipping the second line is left out, and η' = η. The reference code raises v in
/// the stored moment, so the arctangent and every later update use the raised value. An element
/// whose gradients are far below 1e-6 therefore hardly moves.
///
/// # Panics
///
/// Panics where the slices have different lengths.
pub(super) fn raven_adam(mut parameter: Parameter<'_>, step: Step, update_clipping: bool) {
    let (c1, c2) = step.corrections();
    let squares = move_moments(parameter.reborrow(), step, update_clipping);
    let mean = squares / parameter.value.len() as f64;
    // This form of the comparison keeps a NaN; `max` would replace it by 1.
    let excess = if mean <= 1.0 { 1.0 } else { mean.sqrt() };
    let excess = if update_clipping { excess } else { 1.0 };
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

/// Updates the moments. With update clipping, it also raises v to its lower bound and returns
/// `Σ g² / v`; otherwise it returns 0.
fn move_moments(parameter: Parameter<'_>, step: Step, update_clipping: bool) -> f64 {
    let [beta1, beta2] = match step.update {
        1 => [[0.0, 1.0]; 2],
        _ => [shares(step.beta1), shares(step.beta2)],
    };
    let floor = match update_clipping {
        true => SMALLEST_SECOND_MOMENT,
        false => 0.0,
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
                    let square = blend(*v, g * g, beta2);
                    // This form of the comparison keeps a NaN.
                    *v = if square < floor { floor } else { square };
                }
                if !update_clipping {
                    return 0.0;
                }
                sum_pairs_f64(piece.gradient, piece.second, |g, v| {
                    let g = g * gradient_scale;
                    f64::from(g * g / v)
                })
            },
        )
    });
    ratios.iter().sum()
}
