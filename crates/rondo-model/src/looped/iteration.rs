//! One iteration: the injection, the core's layers, and the norm at its end where there is one. They are told its number.

use burn::tensor::Tensor;

use super::layers::through;
use crate::block::Block;
use crate::gates::{Record, Seen};
use crate::injection::{Injection, Prepared};
use crate::layer::At;
use crate::norm::RmsNorm;
use crate::pass::Shared;
use crate::recurrence::Iterate;

/// The parts of an iteration, which all iterations share.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) blocks: &'a [Block],
    pub(super) injection: &'a Injection,
    /// The norm at the end of an iteration.
    pub(super) boundary: Option<&'a RmsNorm>,
}

/// `R(A(·, e))` with one embedding.
pub(super) struct Core<'a> {
    parts: Parts<'a>,
    prepared: &'a Prepared,
    pass: Shared<'a>,
}

impl<'a> Core<'a> {
    pub(super) fn new(parts: Parts<'a>, prepared: &'a Prepared, pass: Shared<'a>) -> Self {
        Self {
            parts,
            prepared,
            pass,
        }
    }

    /// Returns s_i from s_{i−1}, and what the gates of iteration i saw.
    ///
    /// # Shapes
    ///
    /// `state` and the result: `[batch, seq, d_model]`.
    pub(super) fn apply(&self, iteration: usize, state: Tensor<3>) -> (Tensor<3>, Vec<Seen>) {
        let Parts {
            blocks,
            injection,
            boundary,
        } = self.parts;
        let x = injection.forward(state, self.prepared);
        let at = |layer| At::Core { layer, iteration };
        let (state, seen) = through(blocks, x, self.pass, at);
        (normed(boundary, state), seen)
    }
}

/// Applies a norm where there is one.
pub(super) fn normed(norm: Option<&RmsNorm>, x: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}

/// Leaves out what the gates saw.
impl Iterate for Core<'_> {
    fn iterate(&mut self, iteration: usize, state: Tensor<3>) -> Tensor<3> {
        self.apply(iteration, state).0
    }
}

/// A core with the record of what the gates of its pass saw.
pub(super) struct Recorded<'a> {
    core: Core<'a>,
    pub(super) record: Record,
}

impl<'a> Recorded<'a> {
    /// Starts with what the gates before the loop saw.
    pub(super) fn new(core: Core<'a>, seen: &[Seen]) -> Self {
        let mut record = Record::default();
        record.add(seen);
        Self { core, record }
    }
}

impl Iterate for Recorded<'_> {
    fn iterate(&mut self, iteration: usize, state: Tensor<3>) -> Tensor<3> {
        let (state, seen) = self.core.apply(iteration, state);
        self.record.add(&seen);
        state
    }
}
