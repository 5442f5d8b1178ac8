//! One iteration: the history or lanes, the injection, the conditioning, the core's layers, the
//! norm after the layers, and the next state.

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
    /// The norm at the end of an iteration, if configured.
    boundary: Option<&'a RmsNorm>,
}

impl Parts<'_> {
    /// Returns the input of the core's layers in the iteration after `state`.
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

    /// Returns the adjustment of each layer for the iteration after `state`, in a pass of `depth`
    /// iterations, or `None` if nothing changes the layers. `known` holds the additions of every
    /// row of LoRA, if the caller has already computed them.
    pub(super) fn adjustments(
        &self,
        state: &LoopState,
        depth: usize,
        known: Option<&[Vec<Additions>]>,
    ) -> Option<Vec<Adjustment>> {
        adjustments(self.conditioning, self.lora, state, depth, known)
    }

    /// Returns the state after the iteration that follows `state`, in a pass of `depth` iterations.
    /// `y` is the output of the core's layers.
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

/// Copies of the modules of an iteration.
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
    /// Copies the modules without autodiff.
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

    /// Copies the modules with untracked parameters.
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

    /// Returns the norm at the end of an iteration, if configured.
    fn boundary(&self) -> Option<&RmsNorm> {
        (self.boundary_norm == BoundaryNorm::Iteration).then_some(&self.norm)
    }
}

/// The map from s_{i−1} to s_i, for one embedding e.
pub(super) struct Core<'a> {
    parts: Parts<'a>,
    prepared: &'a Prepared,
    pass: Shared<'a>,
    depth: usize,
}

impl<'a> Core<'a> {
    /// Returns a copy for another pass with the same number of iterations.
    pub(super) fn with_pass(&self, pass: Shared<'a>) -> Self {
        Self::new(self.parts, self.prepared, pass, self.depth)
    }

    /// Prepares the iterations of a pass of `depth` iterations.
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

    /// Applies iteration i to s_{i−1}. Returns the next state and the open edges of the gates.
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

/// Applies `norm`, if any.
pub(super) fn normed(norm: Option<&RmsNorm>, x: Tensor<3>) -> Tensor<3> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}

/// Runs iterations without keeping the open edges of the gates.
impl Iterate for Core<'_> {
    fn iterate(&mut self, state: LoopState) -> LoopState {
        self.apply(state).0
    }
}

/// A core that records the densities of the gates in its pass.
pub(super) struct Recorded<'a> {
    core: Core<'a>,
    pub(super) record: Record,
}

impl<'a> Recorded<'a> {
    /// Starts the record with the open edges of the gates before the loop.
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
