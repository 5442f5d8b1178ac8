//! Updates of parameters and their moments, in place, in one pass over memory if the rule allows
//! it.
//!
//! A parameter, its first and second moment and its gradient are slices of the same length. All
//! rules work element by element, except for the mean in [`Rule::RavenAdam`]. The caller computes
//! the global norm before the update, with [`sum_of_squares()`], and passes its effect as
//! [`Step::gradient_scale`].

mod adamw;
mod atan2;
mod raven_adam;
mod sum_of_squares;

pub use sum_of_squares::sum_of_squares;

use rayon::prelude::*;

use self::adamw::adamw;
use self::raven_adam::raven_adam;
use crate::rows::rows_per_task;

/// The inputs and outputs of an update: slices of the same length.
#[derive(Debug)]
pub struct Parameter<'a> {
    /// The value of the parameter, p.
    pub value: &'a mut [f32],
    /// The first moment, m; zeros before the first update.
    pub first: &'a mut [f32],
    /// The second moment, v; zeros before the first update.
    pub second: &'a mut [f32],
    /// The gradient, not yet multiplied by [`Step::gradient_scale`].
    pub gradient: &'a [f32],
}

/// One update of a parameter, without its tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The rule of the update.
    pub rule: Rule,
    /// The numbers that all rules need.
    pub step: Step,
}

/// A rule of an optimizer, with the rule's own constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Adam with decoupled weight decay.
    AdamW {
        /// The number ε that is added to the root of the second moment.
        eps: f64,
    },
    /// The variant of Adam from recurrent pretraining (arXiv 2502.05171).
    RavenAdam {
        /// Whether the learning rate is divided by `max(1, √mean(g² / v))`.
        update_clipping: bool,
    },
}

impl Update {
    /// Updates a parameter and its moments in place.
    ///
    /// # Panics
    ///
    /// Panics where the slices have different lengths.
    pub fn apply(&self, parameter: Parameter<'_>) {
        match self.rule {
            Rule::AdamW { eps } => adamw(parameter, self.step, eps),
            Rule::RavenAdam { update_clipping } => {
                raven_adam(parameter, self.step, update_clipping);
            }
        }
    }
}

/// The numbers of one update that all rules need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The learning rate η.
    pub lr: f64,
    /// The share of the parameter that decays before the update: η·λ or (η / η_peak)·λ with the
    /// weight decay λ; 0 for no decay.
    pub decay: f64,
    /// The decay β₁ of the first moment.
    pub beta1: f64,
    /// The decay β₂ of the second moment.
    pub beta2: f64,
    /// The number t of this update, counted from 1.
    pub update: u64,
    /// The factor of the gradient, which comes from clipping by the global norm; 1 without
    /// clipping.
    pub gradient_scale: f64,
}

impl Step {
    /// Returns the bias corrections `1 − β₁ᵗ` and `1 − β₂ᵗ`.
    pub fn corrections(&self) -> (f64, f64) {
        let correction = |beta: f64| 1.0 - beta.powf(self.update as f64);
        (correction(self.beta1), correction(self.beta2))
    }
}

/// Returns `β·old + (1 − β)·new`.
#[inline(always)]
fn blend(old: f32, new: f32, [beta, rest]: [f32; 2]) -> f32 {
    old * beta + new * rest
}

/// Returns β and 1 − β.
fn shares(beta: f64) -> [f32; 2] {
    [beta as f32, (1.0 - beta) as f32]
}

impl Parameter<'_> {
    /// Returns the same slices with a shorter lifetime.
    fn reborrow(&mut self) -> Parameter<'_> {
        Parameter {
            value: self.value,
            first: self.first,
            second: self.second,
            gradient: self.gradient,
        }
    }

    /// Calls `work` for pieces of the parameter, in parallel. Returns the results in the order of
    /// the pieces.
    ///
    /// # Panics
    ///
    /// Panics where the slices have different lengths.
    fn in_pieces<R: Send>(self, work: impl Fn(Parameter<'_>) -> R + Sync) -> Vec<R> {
        let length = self.value.len();
        assert!(
            [self.first.len(), self.second.len(), self.gradient.len()] == [length; 3],
            "moments and gradient of a parameter of {length} numbers"
        );
        let piece = rows_per_task(1);
        let run = |(((value, first), second), gradient)| {
            work(Parameter {
                value,
                first,
                second,
                gradient,
            })
        };
        if length <= piece {
            return vec![run((
                ((self.value, self.first), self.second),
                self.gradient,
            ))];
        }
        self.value
            .par_chunks_mut(piece)
            .zip(self.first.par_chunks_mut(piece))
            .zip(self.second.par_chunks_mut(piece))
            .zip(self.gradient.par_chunks(piece))
            .map(run)
            .collect()
    }
}

#[cfg(test)]
mod tests;
