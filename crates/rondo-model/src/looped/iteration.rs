//! One iteration: the injection and the core's layers. They are told its number.

use burn::tensor::Tensor;

use super::layers::through;
use crate::block::Block;
use crate::gates::{Record, Seen};
use crate::injection::{Injection, Prepared};
use crate::layer::At;
use crate::pass::Shared;
use crate::recurrence::Iterate;

/// `R(A(·, e))` with one embedding.
pub(super) struct Core<'a> {
    blocks: &'a [Block],
    injection: &'a Injection,
    prepared: &'a Prepared,
    pass: Shared<'a>,
}

impl<'a> Core<'a> {
    pub(super) fn new(
        blocks: &'a [Block],
        injection: &'a Injection,
        prepared: &'a Prepared,
        pass: Shared<'a>,
    ) -> Self {
        Self {
            blocks,
            injection,
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
        let x = self.injection.forward(state, self.prepared);
        let at = |layer| At::Core { layer, iteration };
        through(self.blocks, x, self.pass, at)
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
