//! A running average of the outputs of a loop's iterations, in which each output determines its own
//! weight (InfiLoop, arXiv 2610.11570).
//!
//! ```text
//! s = ⟨q, z⟩ / √(mean(z²) + 1e-6)    D ← β D + e^s    h ← h + (e^s / D) (z − h)
//! ```
//!
//! for each token. z is the output of an iteration, q a learned vector, and β the factor by which
//! earlier weights shrink. After iteration t, h is `Σ_i β^(t−i) e^(s_i) z_i / Σ_i β^(t−i) e^(s_i)`.
//! The code stores the logarithm of D, so no score makes it infinite. In the first iteration there
//! is no earlier D or h: D is `e^s`, and h is z.

mod blend;
#[cfg(test)]
mod tests;
mod total;

pub use blend::{Blend, BlendTensors};
pub use total::{Forgetting, Total, TotalTensors};

use crate::real::Real;

/// The number added to the mean square of z. The paper gives no number.
pub const EPS: f32 = 1e-6;

/// A token's score s, and a factor that the gradient of s needs.
struct Score<T> {
    /// The score s.
    value: T,
    /// `1 / √(mean(z²) + ε)`.
    inverse_root: T,
}

impl<T: Real> Score<T> {
    #[inline(always)]
    fn of(q: &[T], z: &[T], eps: T) -> Self {
        let inverse_root = T::ONE / (T::dot(z, z) / T::of_count(z.len()) + eps).sqrt();
        Self {
            value: T::dot(q, z) * inverse_root,
            inverse_root,
        }
    }

    /// Adds `d_s · ∂s/∂z` to `d_z` and `d_s · ∂s/∂q` to `d_q`.
    ///
    /// `∂s/∂z = r (q − s r z / width)`, `∂s/∂q = r z`, with `r = 1 / √(mean(z²) + ε)`.
    #[inline(always)]
    fn backward(&self, d_s: T, q: &[T], z: &[T], d_z: &mut [T], d_q: &mut [T]) {
        let r = d_s * self.inverse_root;
        let along = self.value * self.inverse_root / T::of_count(z.len());
        for (((d_z, d_q), q), z) in d_z.iter_mut().zip(d_q).zip(q).zip(z) {
            *d_z += r * (*q - along * *z);
            *d_q += r * *z;
        }
    }
}
