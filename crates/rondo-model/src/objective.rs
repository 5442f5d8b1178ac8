//! What a training pass differentiates: a term of the readout after some of its iterations, and a penalty on its last state.
//!
//! The last iteration always has a term; a plain loss of the last readout has no other. The terms come in the order of the iterations, the
//! last one last, and each is differentiated when it comes. So a term may weigh its tokens by what the readouts before it gave, as a
//! probability of exits does, and no activation of a readout is kept.

use burn::tensor::Tensor;

use crate::looped::Readout;
use crate::penalty::Penalty;

/// The terms of a loss.
pub trait Objective {
    /// Returns whether the state after an iteration with gradient, not the last one, has a term.
    fn reads(&self, iteration: usize) -> bool;

    /// Returns the term of the readout after `iteration`, `[1]`.
    fn term(&mut self, iteration: usize, readout: &Readout) -> Tensor<1>;

    /// Returns the penalty, where there is one, with its factor in what is differentiated.
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

/// What a training pass computes beside its iterations and its last readout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Readouts before the last one, each with a coda and a head.
    pub readouts: usize,
    /// Iterations with gradient that a penalty takes.
    pub iterations: usize,
}
