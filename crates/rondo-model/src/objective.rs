//! The differentiated quantity of a training pass: terms of the readouts after some of its
//! iterations, and a penalty on its last state.
//!
//! The last iteration always has a term; a plain loss has only this one. Terms are evaluated in the
//! order of the iterations, and each is differentiated immediately. So a term may weight its tokens
//! by results of earlier readouts, for example by exit probabilities, and no activations of a
//! readout are kept.

use burn::tensor::Tensor;

use crate::looped::Readout;
use crate::penalty::Penalty;

/// The terms of a loss.
pub trait Objective {
    /// Returns whether the readout after `iteration`, an iteration with gradient before the last
    /// one, has a term.
    fn reads(&self, iteration: usize) -> bool;

    /// Returns the term of the readout after `iteration`, `[1]`.
    fn term(&mut self, iteration: usize, readout: &Readout) -> Tensor<1>;

    /// Returns the penalty and its factor in the differentiated quantity, if there is a penalty.
    fn penalty(&self) -> Option<(&Penalty, f64)>;
}

/// A loss of the last readout alone.
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

/// The computation of a training pass in addition to its iterations and its last readout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Readouts before the last one, each with a coda and a head.
    pub readouts: usize,
    /// Iterations with gradient that a penalty runs.
    pub iterations: usize,
}
