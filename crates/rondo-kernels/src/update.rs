//! The update of a parameter and its moments, in place, in one pass over memory if the rule allows
//! it.
//!
//! A parameter, its first and second moment and its gradient are slices of the same length. The
//! rules are elementwise, except for one mean ([`Rule::RavenAdam`]). The global norm
//! ([`sum_of_squares`]) is computed before, and a rule gets it as [`Step::gradient_scale`].

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
    /// The parameter, p.
    pub value: &'a mut [f32],
    /// The first moment, m; zeros before the first update.
    pub first: &'a mut [f32],
    /// The second moment, v; zeros before the first update.
    pub second: &'a mut [f32],
    /// The gradient, before [`Step::gradient_scale`].
    pub gradient: &'a [f32],
}

/// One update of a parameter, without its tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// Which rule.
    pub rule: Rule,
    /// The numbers that all rules need.
    pub step: Step,
}

/// A rule, with its own constants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Adam with decoupled weight decay.
    AdamW {
        /// ε.
        eps: f64,
    },
    /// The Adam of recurrent pretraining.
    RavenAdam {
        /// Whether the rate is divided by `max(1, √mean(g² / v))`.
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
    /// Learning rate η.
    pub lr: f64,
    /// Share of the parameter that decays before the update: η·λ or (η / η_peak)·λ, 0 for none.
    pub decay: f64,
    /// Decay of the first moment, β₁.
    pub beta1: f64,
    /// Decay of the second moment, β₂.
    pub beta2: f64,
    /// The number of this update, t, counted from 1.
    pub update: u64,
    /// Factor of the gradient, from clipping by the global norm; 1 for none.
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
    /// Returns the same slices for a shorter time.
    fn reborrow(&mut self) -> Parameter<'_> {
        Parameter {
            value: self.value,
            first: self.first,
            second: self.second,
            gradient: self.gradient,
        }
    }

    /// Calls `work` for pieces of the parameter, in parallel; returns the results in order.
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
