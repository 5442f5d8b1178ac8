//! The whole model: embed, prelude, loop, coda, head.
//!
//! The shared norm n_f is applied at the end and, optionally, at a second place ([`BoundaryNorm`]):
//!
//! | boundary norm | core's output z_i | input of the head |
//! |---|---|---|
//! | coda | R(A(s_{i−1}, e)) | n_f(C(n_f(s_r))) |
//! | iteration | n_f(R(A(s_{i−1}, e))) | n_f(C(s_r)), or s_r if there is no coda and s_r = z_r |
//!
//! The next state s_i is z_i, unless a loop gate, an average or lanes compute s_i from z_i and
//! earlier values. The norm in z_i is applied before a loop gate, an average or lanes.
//!
//! A model that loops a whole stack has no prelude, no coda and no injection. Its loop starts from
//! s_0 = e, which is then `γ · E[x]`.

pub mod decode;
mod differentiate;
mod iteration;
mod layers;

pub use differentiate::Differentiated;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, assert_shape};

use self::iteration::{Core, Recorded, normed};
use self::layers::through;
use crate::block::Block;
use crate::conditioning::Conditioning;
use crate::config::{BoundaryNorm, ModelConfig, StateInit};
use crate::contraction::Contraction;
use crate::depth::Recompute;
use crate::gates::{Density, Seen};
use crate::history::History;
use crate::init::Weights;
use crate::injection::Injection;
use crate::lanes::Lanes;
use crate::layer::{At, Layer, Stack};
use crate::lora::Lora;
use crate::norm::RmsNorm;
use crate::ops::{self, Head, Precision};
use crate::pass::{Pass, Shared};
use crate::recurrence::{self, LoopState, Trace};
use crate::residual::Average;

/// A recurrent-depth transformer.
#[derive(Module, Debug)]
pub struct LoopedTransformer {
    tokens: Param<Tensor<2>>,
    prelude: Vec<Block>,
    injection: Injection,
    core: Vec<Block>,
    coda: Vec<Block>,
    norm: RmsNorm,
    head: Option<Param<Tensor<2>>>,
    history: Option<History>,
    residual: Option<Average>,
    conditioning: Option<Conditioning>,
    lanes: Option<Lanes>,
    lora: Option<Lora>,
    #[module(skip)]
    boundary_norm: BoundaryNorm,
    #[module(skip)]
    starts_from_input: bool,
    #[module(skip)]
    embedding_scale: f64,
    #[module(skip)]
    recompute: Recompute,
    #[module(skip)]
    precision: Precision,
}

/// The coda's output for a state, with the state. A readout does not hold logits, because they are
/// large; [`LoopedTransformer::logits`] computes logits from [`Self::hidden`].
#[derive(Clone, Debug)]
pub struct Readout {
    /// s, the input of the next iteration, `[batch, seq, d_model]`.
    pub latent: Tensor<3>,
    /// The input of the coda, n_f(s) by default, `[batch, seq, d_model]`.
    pub state: Tensor<3>,
    /// The input of the head, n_f(C(n_f(s))) by default, `[batch, seq, d_model]`.
    pub hidden: Tensor<3>,
}

impl Readout {
    /// Returns a copy without graphs.
    fn without_autodiff(self) -> Self {
        Self {
            latent: self.latent.without_autodiff(),
            state: self.state.without_autodiff(),
            hidden: self.hidden.without_autodiff(),
        }
    }
}

/// The result of a forward pass.
#[derive(Clone, Debug)]
pub struct Forward {
    /// e, the prelude's output, `[batch, seq, d_model]`.
    pub embedding: Tensor<3>,
    /// The readout of the last state.
    pub readout: Readout,
    /// The open edges of every application of a layer with gates, in order of [`At`]; empty if no
    /// layer has gates. In a training pass, only applications with gradient are included.
    pub densities: Vec<Density>,
}

impl LoopedTransformer {
    /// Builds a model with weights drawn from `seed`.
    ///
    /// # Panics
    ///
    /// Panics if `config` is not valid.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Self {
        Self::with_weights(config, &Weights::new(config, seed, device))
    }

    /// Builds a model with given weights.
    ///
    /// # Panics
    ///
    /// As [`Self::new`].
    pub fn with_weights(config: &ModelConfig, weights: &Weights<'_>) -> Self {
        let blocks = |stack: Stack, layers: usize| {
            (0..layers)
                .map(|index| Block::new(config, Layer { stack, index }, weights))
                .collect()
        };
        Self {
            tokens: weights.get("tokens"),
            prelude: blocks(Stack::Prelude, config.layers.prelude),
            injection: Injection::new(config, weights),
            core: blocks(Stack::Core, config.layers.core),
            coda: blocks(Stack::Coda, config.layers.coda),
            norm: RmsNorm::new(config.norm, "norm", weights),
            head: (!config.tied_head).then(|| weights.get("head")),
            history: History::new(config, weights),
            residual: Average::new(config, weights),
            conditioning: Conditioning::new(config, weights),
            lanes: Lanes::new(config, weights),
            lora: Lora::new(config, weights),
            boundary_norm: config.boundary_norm,
            starts_from_input: config.state_init == StateInit::Input,
            embedding_scale: config.embedding_scale(),
            recompute: config.recurrence.recompute,
            precision: weights.precision(),
        }
    }

    /// Returns the matrix that computes logits.
    pub fn head(&self) -> Head {
        let head = match &self.head {
            Some(head) => Head::own(head.val()),
            None => Head::tied(self.tokens.val()),
        };
        head.with_precision(self.precision)
    }

    /// Returns the unnormalised log probabilities of the next token.
    ///
    /// # Shapes
    ///
    /// `hidden`: [`Readout::hidden`] or some positions of it, `[batch, seq, d_model]`; returns
    /// `[batch, seq, vocab]`.
    pub fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        ops::head_logits(hidden, self.head())
    }

    /// Returns s_0: the prelude's output if the model starts from its input, otherwise `state`.
    ///
    /// # Shapes
    ///
    /// As [`Self::forward`]; returns `[batch, seq, d_model]`.
    pub fn start(&self, tokens: &Tensor<2, Int>, state: Tensor<3>, pass: &Pass) -> Tensor<3> {
        match self.starts_from_input {
            true => self.embed(tokens.clone(), pass.shared()).0,
            false => state,
        }
    }

    /// Returns statistics of the factors that multiply the state's channels on the way into an
    /// iteration; `None` if neither a history nor the injection has such factors.
    pub fn contraction(&self) -> Option<Contraction> {
        match &self.history {
            Some(history) => Some(history.contraction()),
            None => self.injection.contraction(),
        }
    }

    /// Runs prelude, loop and coda. The loop starts from `state`: s_0, or the last state of an
    /// earlier run.
    ///
    /// If `trace` is given, it receives every state.
    ///
    /// # Shapes
    ///
    /// `tokens`: `[batch, seq]`; `state`: `[batch, seq, d_model]`. A model that starts from its
    /// input does not read s_0.
    ///
    /// # Panics
    ///
    /// Panics if the shapes of `state` and the embedding differ.
    pub fn forward(
        &self,
        tokens: Tensor<2, Int>,
        state: impl Into<LoopState>,
        pass: &Pass,
        iterations: usize,
        mut trace: Option<&mut Trace>,
    ) -> Forward {
        let (pass, state) = (pass.shared(), state.into());
        let (embedding, seen) = self.embed(tokens, pass);
        let [batch, seq, d_model] = embedding.dims();
        assert_shape!(state.state(), [batch, seq, d_model]);
        let state = self.started(state, &embedding);
        let prepared = self.injection.prepare(embedding.clone());
        let depth = state.iterations() + iterations;
        let core = Core::new(self.parts(), &prepared, pass, depth);
        let mut core = Recorded::new(core, &seen);
        if let Some(trace) = &mut trace {
            trace.record(state.state());
        }
        let state = recurrence::run(iterations, state, &mut core, trace);
        let (readout, seen) = self.read_out(&state, pass);
        core.record.add(&seen);
        Forward {
            densities: core.record.finish(),
            readout,
            embedding,
        }
    }

    /// Returns whether an iteration depends on the recurrence depth of the pass. If so, each depth
    /// needs a pass of its own.
    pub fn reads_depth(&self) -> bool {
        self.conditioning
            .as_ref()
            .is_some_and(Conditioning::reads_depth)
    }

    /// Runs the loop once to the deepest of `depths`, and reads out at each depth. If an iteration
    /// depends on the recurrence depth, the loop runs once for each depth.
    ///
    /// `visit` receives each depth, in rising order, with its readout. Returns the open edges of
    /// the applications of layers with gates, in order of [`At`]. These are the applications of the
    /// coda at every depth, and the applications of prelude and core in the pass to the deepest
    /// depth.
    ///
    /// # Shapes
    ///
    /// As [`Self::forward`].
    pub fn forward_at_depths(
        &self,
        tokens: Tensor<2, Int>,
        state: impl Into<LoopState>,
        pass: &Pass,
        depths: &[usize],
        mut visit: impl FnMut(usize, Readout),
    ) -> Vec<Density> {
        let pass = pass.shared();
        let (embedding, seen) = self.embed(tokens, pass);
        let start = self.started(state.into(), &embedding);
        let prepared = self.injection.prepare(embedding);
        let mut depths = depths.to_vec();
        depths.sort_unstable();
        depths.dedup();
        let deepest = depths.last().copied().unwrap_or_default();
        let core = |depth| Core::new(self.parts(), &prepared, pass, depth);
        let mut recorded = Recorded::new(core(deepest), &seen);
        let mut state = start.clone();
        for depth in depths {
            let further = |state: &LoopState| depth.saturating_sub(state.iterations());
            let (readout, seen) = if self.reads_depth() && depth < deepest {
                let iterations = further(&start);
                let own = recurrence::run(iterations, start.clone(), &mut core(depth), None);
                self.read_out(&own, pass)
            } else {
                state = recurrence::run(further(&state), state, &mut recorded, None);
                self.read_out(&state, pass)
            };
            recorded.record.add(&seen);
            visit(depth, readout);
        }
        recorded.record.finish()
    }

    /// Returns the start of the loop: e if the model starts from its input, otherwise `state`. A
    /// loop that continues an earlier run always starts from `state`.
    fn started(&self, state: LoopState, embedding: &Tensor<3>) -> LoopState {
        match self.starts_from_input && state.iterations() == 0 {
            true => embedding.clone().into(),
            false => state,
        }
    }

    /// Returns e = P(γ · E[x]), and the open edges of the prelude's gates.
    fn embed(&self, tokens: Tensor<2, Int>, pass: Shared<'_>) -> (Tensor<3>, Vec<Seen>) {
        let x = self.look_up(tokens);
        through(&self.prelude, x, pass, |layer| At::Prelude { layer }, None)
    }

    /// Returns γ · E[x].
    fn look_up(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let table = self.tokens.val();
        let x = ops::of(&table).embed(table, tokens);
        if (self.embedding_scale - 1.0).abs() > f64::EPSILON {
            x * self.embedding_scale
        } else {
            x
        }
    }

    /// Returns the readout of `state`, and the open edges of the coda's gates.
    fn read_out(&self, state: &LoopState, pass: Shared<'_>) -> (Readout, Vec<Seen>) {
        let (latent, depth) = (state.state().clone(), state.iterations());
        let state = self.before_coda(latent.clone());
        let at = |layer| At::Coda { layer, depth };
        let (y, seen) = through(&self.coda, state.clone(), pass, at, None);
        let readout = Readout {
            hidden: self.after_coda(y),
            latent,
            state,
        };
        (readout, seen)
    }

    /// Returns the input of the coda for a state.
    fn before_coda(&self, latent: Tensor<3>) -> Tensor<3> {
        let norm = (self.boundary_norm == BoundaryNorm::Coda).then_some(&self.norm);
        normed(norm, latent)
    }

    /// Returns the input of the head for an output of the coda.
    fn after_coda(&self, y: Tensor<3>) -> Tensor<3> {
        normed((!self.head_reads_output()).then_some(&self.norm), y)
    }

    /// Returns whether the head reads the normed output of the last iteration unchanged. This is so
    /// if there is no coda and s_r is that output.
    fn head_reads_output(&self) -> bool {
        let is_state = self.lanes.is_none()
            && self.residual.is_none()
            && !matches!(self.conditioning, Some(Conditioning::LoopGate(_)));
        self.boundary_norm == BoundaryNorm::Iteration && self.coda.is_empty() && is_state
    }
}

#[cfg(test)]
mod tests;
