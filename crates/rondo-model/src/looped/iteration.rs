//! One iteration: the history, the injection, the core's layers with the norm at their end where there is one, and what becomes of
//! their output. They are told its number.

use burn::module::Module;
use burn::tensor::Tensor;

use super::LoopedTransformer;
use super::layers::through;
use crate::adjustment::{Adjustment, adjustments};
use crate::block::Block;
use crate::conditioning::Conditioning;
use crate::config::BoundaryNorm;
use crate::gates::{Record, Seen};
use crate::history::History;
use crate::injection::{Injection, Prepared};
use crate::lanes::Lanes;
use crate::layer::At;
use crate::lora::{Additions, Lora};
use crate::norm::RmsNorm;
use crate::pass::Shared;
use crate::recurrence::{Iterate, LoopState};
use crate::residual::Average;

/// The modules of an iteration.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    history: Option<&'a History>,
    residual: Option<&'a Average>,
    conditioning: Option<&'a Conditioning>,
    lanes: Option<&'a Lanes>,
    lora: Option<&'a Lora>,
    injection: &'a Injection,
    pub(super) blocks: &'a [Block],
    /// The norm at the end of an iteration.
    boundary: Option<&'a RmsNorm>,
}

impl Parts<'_> {
    /// Returns what enters the layers.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]`.
    pub(super) fn enter(&self, state: &LoopState, prepared: &Prepared) -> Tensor<3> {
        let x = match (self.lanes, self.history) {
            (Some(lanes), _) => lanes.read(state),
            (None, Some(history)) => history.forward(state),
            (None, None) => state.state().clone(),
        };
        let x = self.injection.forward(x, prepared);
        match self.conditioning {
            Some(conditioning) => conditioning.enter(x, state),
            None => x,
        }
    }

    /// Returns what the iteration after `state` adjusts in each layer in a pass to `depth`; none where it adjusts nothing. `known` are
    /// the additions of each row where they are known already.
    pub(super) fn adjustments(
        &self,
        state: &LoopState,
        depth: usize,
        known: Option<&[Vec<Additions>]>,
    ) -> Option<Vec<Adjustment>> {
        adjustments(self.conditioning, self.lora, state, depth, known)
    }

    /// Returns what follows `state` where the layers gave `y` in a pass to `depth`.
    pub(super) fn leave(&self, state: LoopState, y: Tensor<3>, depth: usize) -> LoopState {
        let y = normed(self.boundary, y);
        let y = match self.conditioning {
            Some(conditioning) => conditioning.leave(y, &state, depth),
            None => y,
        };
        if let Some(lanes) = self.lanes {
            let [lanes, sum] = lanes.write(&state, y);
            return state.followed_by(sum, 0).beside(Some(lanes));
        }
        let (next, total) = match self.residual {
            Some(residual) => {
                let [next, total] = residual.follow(&state, y);
                (next, Some(total))
            }
            None => (y, None),
        };
        let window = self.history.map_or(0, History::window);
        state.followed_by(next, window).weighing(total)
    }
}

/// The modules of an iteration, taken out of a model.
pub(super) struct OwnParts {
    history: Option<History>,
    residual: Option<Average>,
    conditioning: Option<Conditioning>,
    lanes: Option<Lanes>,
    lora: Option<Lora>,
    injection: Injection,
    blocks: Vec<Block>,
    boundary: Option<RmsNorm>,
}

impl OwnParts {
    /// Returns them without autodiff.
    pub(super) fn valid(model: &LoopedTransformer) -> Self {
        Self {
            history: model.history.valid(),
            residual: model.residual.valid(),
            conditioning: model.conditioning.valid(),
            lanes: model.lanes.valid(),
            lora: model.lora.valid(),
            injection: model.injection.valid(),
            blocks: model.core.valid(),
            boundary: model.boundary().map(RmsNorm::valid),
        }
    }

    /// Returns them with parameters that are not tracked.
    pub(super) fn no_grad(model: &LoopedTransformer) -> Self {
        Self {
            history: model.history.clone().map(Module::no_grad),
            residual: model.residual.clone().map(Module::no_grad),
            conditioning: model.conditioning.clone().map(Module::no_grad),
            lanes: model.lanes.clone().map(Module::no_grad),
            lora: model.lora.clone().map(Module::no_grad),
            injection: model.injection.clone().no_grad(),
            blocks: model.core.clone().no_grad(),
            boundary: model.boundary().cloned().map(Module::no_grad),
        }
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            history: self.history.as_ref(),
            residual: self.residual.as_ref(),
            conditioning: self.conditioning.as_ref(),
            lanes: self.lanes.as_ref(),
            lora: self.lora.as_ref(),
            injection: &self.injection,
            blocks: &self.blocks,
            boundary: self.boundary.as_ref(),
        }
    }
}

impl LoopedTransformer {
    /// Returns the modules of an iteration.
    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            history: self.history.as_ref(),
            residual: self.residual.as_ref(),
            conditioning: self.conditioning.as_ref(),
            lanes: self.lanes.as_ref(),
            lora: self.lora.as_ref(),
            injection: &self.injection,
            blocks: &self.core,
            boundary: self.boundary(),
        }
    }

    /// Returns the norm at the end of an iteration, where there is one.
    fn boundary(&self) -> Option<&RmsNorm> {
        (self.boundary_norm == BoundaryNorm::Iteration).then_some(&self.norm)
    }
}

/// `R(A(·, e))` with one embedding.
pub(super) struct Core<'a> {
    parts: Parts<'a>,
    prepared: &'a Prepared,
    pass: Shared<'a>,
    depth: usize,
}

impl<'a> Core<'a> {
    /// Returns the same in another pass to the same depth.
    pub(super) fn with_pass(&self, pass: Shared<'a>) -> Self {
        Self::new(self.parts, self.prepared, pass, self.depth)
    }

    /// Prepares a pass to `depth`.
    pub(super) fn new(
        parts: Parts<'a>,
        prepared: &'a Prepared,
        pass: Shared<'a>,
        depth: usize,
    ) -> Self {
        Self {
            parts,
            prepared,
            pass,
            depth,
        }
    }

    /// Returns what follows s_{i−1}, and what the gates of iteration i saw.
    pub(super) fn apply(&self, state: LoopState) -> (LoopState, Vec<Seen>) {
        let iteration = state.iterations() + 1;
        let x = self.parts.enter(&state, self.prepared);
        let at = |layer| At::Core { layer, iteration };
        let adjustments = self.parts.adjustments(&state, self.depth, None);
        let adjustments = adjustments.as_deref();
        let (y, seen) = through(self.parts.blocks, x, self.pass, at, adjustments);
        (self.parts.leave(state, y, self.depth), seen)
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
    fn iterate(&mut self, state: LoopState) -> LoopState {
        self.apply(state).0
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
    fn iterate(&mut self, state: LoopState) -> LoopState {
        let (state, seen) = self.core.apply(state);
        self.record.add(&seen);
        state
    }
}
