//! The whole model: embed, prelude, loop, coda, head.
//!
//! The shared norm n_f stands at the end and, by choice, at a second place ([`BoundaryNorm`]):
//!
//! | boundary norm | the core's output z_i | what the head reads |
//! |---|---|---|
//! | coda | R(A(s_{i−1}, e)) | n_f(C(n_f(s_r))) |
//! | iteration | n_f(R(A(s_{i−1}, e))) | n_f(C(s_r)); without a coda s_r where it is z_r |
//! | none | R(A(s_{i−1}, e)) | n_f(C(s_r)) |
//!
//! s_i is z_i, unless a loop gate, an average or lanes make it of z_i and of what came before: the norm comes before all of them.
//!
//! A stack that is looped as a whole has neither prelude nor coda, no injection and s_0 = e, which is `γ · E[x]` then.

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

/// What the coda makes of a state. Logits are [`LoopedTransformer::logits`] of the hidden state:
/// large, and made only where somebody reads them.
#[derive(Clone, Debug)]
pub struct Readout {
    /// s itself, as the next iteration gets it, `[batch, seq, d_model]`.
    pub latent: Tensor<3>,
    /// What the coda reads, n_f(s) by default, `[batch, seq, d_model]`.
    pub state: Tensor<3>,
    /// What the head reads, n_f(C(n_f(s))) by default, `[batch, seq, d_model]`.
    pub hidden: Tensor<3>,
}

impl Readout {
    /// Returns the same without graphs.
    fn without_autodiff(self) -> Self {
        Self {
            latent: self.latent.without_autodiff(),
            state: self.state.without_autodiff(),
            hidden: self.hidden.without_autodiff(),
        }
    }
}

/// One forward pass.
#[derive(Clone, Debug)]
pub struct Forward {
    /// e, the prelude's output, `[batch, seq, d_model]`.
    pub embedding: Tensor<3>,
    /// What the last state gives.
    pub readout: Readout,
    /// The open edges of every application of a layer with gates, in order of [`At`]; of a training pass only those
    /// with gradient. Empty where no layer has gates.
    pub densities: Vec<Density>,
}

impl LoopedTransformer {
    /// Builds a model with weights drawn from `seed`.
    ///
    /// # Panics
    ///
    /// Panics where `config` is not valid or its vocabulary is not resolved.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Self {
        Self::with_weights(config, &Weights::new(config, seed, device))
    }

    /// Builds a model with the weights that are given.
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

    /// Returns the matrix that makes logits.
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

    /// Returns s_0: the prelude's output where the model starts from its input, and else `state`.
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

    /// Returns by how much the state is shrunk on its way into an iteration, where the injection or the history tells.
    pub fn contraction(&self) -> Option<Contraction> {
        match &self.history {
            Some(history) => Some(history.contraction()),
            None => self.injection.contraction(),
        }
    }

    /// Runs prelude, loop and coda. The loop starts from s_0, or goes on where an earlier run of it ended.
    ///
    /// A `trace` receives every state.
    ///
    /// # Shapes
    ///
    /// `tokens`: `[batch, seq]`; `state`: `[batch, seq, d_model]`; a model that starts from its input does not read s_0.
    ///
    /// # Panics
    ///
    /// Panics where `state` has another shape than the embedding.
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

    /// Returns whether an iteration depends on how many there will be, so that a pass to each depth is one of its own.
    pub fn reads_depth(&self) -> bool {
        self.conditioning
            .as_ref()
            .is_some_and(Conditioning::reads_depth)
    }

    /// Runs the loop once to the deepest of `depths` and reads out at each of them; where an iteration depends on how many there will
    /// be, once to each of them.
    ///
    /// `visit` receives each depth, in rising order, with its readout. Returns the open edges of every application
    /// of a layer with gates, in order of [`At`]: those of the coda once for each depth, those of the core of the pass to the deepest.
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

    /// Returns where the loop starts: from e where the model starts from its input, else from the state that was given. A loop that
    /// goes on is left as it is.
    fn started(&self, state: LoopState, embedding: &Tensor<3>) -> LoopState {
        match self.starts_from_input && state.iterations() == 0 {
            true => embedding.clone().into(),
            false => state,
        }
    }

    /// Returns e = P(γ · E[x]), and what the gates of the prelude saw.
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

    /// Returns what the coda and the head read of the state after the iterations done. Also
    /// returns what the gates of the coda saw.
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

    /// Returns what the coda reads of a state.
    fn before_coda(&self, latent: Tensor<3>) -> Tensor<3> {
        let norm = (self.boundary_norm == BoundaryNorm::Coda).then_some(&self.norm);
        normed(norm, latent)
    }

    /// Returns what the head reads of what the coda gives.
    fn after_coda(&self, y: Tensor<3>) -> Tensor<3> {
        normed((!self.head_reads_output()).then_some(&self.norm), y)
    }

    /// Returns whether the head reads what the norm at the end of the last iteration gave: without a coda, where this is s_r.
    fn head_reads_output(&self) -> bool {
        let is_state = self.lanes.is_none()
            && self.residual.is_none()
            && !matches!(self.conditioning, Some(Conditioning::LoopGate(_)));
        self.boundary_norm == BoundaryNorm::Iteration && self.coda.is_empty() && is_state
    }
}

#[cfg(test)]
mod tests;
