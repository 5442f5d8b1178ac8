//! The quantity that a training pass differentiates: a sum of terms, each computed from the readout
//! after an iteration, and a penalty on the last state.
//!
//! The last iteration always has a term; a plain loss has only this term. Terms are evaluated in
//! the order of the iterations, so a term may weight its tokens by results of earlier readouts, for
//! example by exit probabilities. Each term is differentiated immediately, so the activations of
//! its readout are not kept.

use burn::tensor::Tensor;

use crate::looped::Readout;
use crate::penalty::Penalty;

/// The terms of a loss, and its penalty.
pub trait Objective {
    /// Returns whether the loss has a term for the readout after `iteration`, which is an iteration
    /// with gradient and not the last one.
    fn reads(&self, iteration: usize) -> bool;

    /// Returns the term for the readout after `iteration`, `[1]`.
    fn term(&mut self, iteration: usize, readout: &Readout) -> Tensor<1>;

    /// Returns the penalty and the factor that multiplies it in the differentiated quantity, if
    /// there is a penalty.
    fn penalty(&self) -> Option<(&Penalty, f64)>;
}

/// A loss that is a function of the last readout alone.
pub(crate) struct LastReadout<F>(Option<F>);

impl<F: FnOnce(&Readout) -> Tensor<1>> LastReadout<F> {
    pub(crate) fn new(loss: F) -> Self {
        Self(Some(loss))
    }
}

impl<F: FnOnce(&Readout) -> Tensor<1>> Objective for LastReadout<F> {
    fn reads(&self, _: usize) -> bool {
        false
    }

    fn term(&mut self, _: usize, readout: &Readout) -> Tensor<1> {
        let loss = self.0.take().expect("there is one readout");
        loss(readout)
    }

    fn penalty(&self) -> Option<(&Penalty, f64)> {
        None
    }
}

/// The parts of a training pass in addition to its iterations and its last readout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// The number of readouts before the last one; each applies the coda and the head.
    pub readouts: usize,
    /// The number of iterations with gradient that a penalty runs.
    pub iterations: usize,
}
