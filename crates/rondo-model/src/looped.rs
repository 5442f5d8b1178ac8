//! The whole model: embed, prelude, loop, coda, head.

pub mod decode;
mod differentiate;

pub use differentiate::Differentiated;

use burn::module::{Module, Param};
use burn::tensor::module::embedding;
use burn::tensor::{Device, Int, Tensor, assert_shape};

use crate::block::Block;
use crate::config::ModelConfig;
use crate::depth::Recompute;
use crate::init::Weights;
use crate::injection::{Injection, Prepared};
use crate::norm::RmsNorm;
use crate::ops::{self, Head, Precision};
use crate::pass::Pass;
use crate::recurrence::{self, Iterate, Trace};

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
    /// s itself, before the shared norm, `[batch, seq, d_model]`.
    pub latent: Tensor<3>,
    /// n_f(s), `[batch, seq, d_model]`.
    pub state: Tensor<3>,
    /// n_f(C(n_f(s))), `[batch, seq, d_model]`.
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
        let blocks = |stack: &str, layers: usize| {
            (0..layers)
                .map(|i| Block::new(config, &format!("{stack}.{i}"), weights))
                .collect()
        };
        Self {
            tokens: weights.get("tokens"),
            prelude: blocks("prelude", config.layers.prelude),
            injection: Injection::new(config, weights),
            core: blocks("core", config.layers.core),
            coda: blocks("coda", config.layers.coda),
            norm: RmsNorm::new(config.norm, "norm", weights),
            head: (!config.tied_head).then(|| weights.get("head")),
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

    /// Runs prelude, loop and coda.
    ///
    /// A `trace` receives every state.
    ///
    /// # Shapes
    ///
    /// `tokens`: `[batch, seq]`; `state`: s_0, `[batch, seq, d_model]`.
    ///
    /// # Panics
    ///
    /// Panics where `state` has another shape than the embedding.
    pub fn forward(
        &self,
        tokens: Tensor<2, Int>,
        state: Tensor<3>,
        pass: &Pass,
        iterations: usize,
        mut trace: Option<&mut Trace>,
    ) -> Forward {
        let embedding = self.embed(tokens, pass);
        let [batch, seq, d_model] = embedding.dims();
        assert_shape!(state, [batch, seq, d_model]);
        let prepared = self.injection.prepare(embedding.clone());
        let mut core = Core::new(&self.core, &self.injection, &prepared, pass);
        if let Some(trace) = &mut trace {
            trace.record(&state);
        }
        let state = recurrence::run(iterations, state, &mut core, trace);
        Forward {
            readout: self.read_out(state, pass),
            embedding,
        }
    }

    /// Runs the loop once to the deepest of `depths` and reads out at each of them.
    ///
    /// `visit` receives each depth, in rising order, with its readout.
    ///
    /// # Shapes
    ///
    /// As [`Self::forward`].
    pub fn forward_at_depths(
        &self,
        tokens: Tensor<2, Int>,
        state: Tensor<3>,
        pass: &Pass,
        depths: &[usize],
        mut visit: impl FnMut(usize, Readout),
    ) {
        let prepared = self.injection.prepare(self.embed(tokens, pass));
        let mut core = Core::new(&self.core, &self.injection, &prepared, pass);
        let mut depths = depths.to_vec();
        depths.sort_unstable();
        depths.dedup();
        let (mut state, mut done) = (state, 0);
        for depth in depths {
            state = recurrence::run(depth - done, state, &mut core, None);
            done = depth;
            visit(depth, self.read_out(state.clone(), pass));
        }
    }

    /// Returns e = P(γ · E[x]).
    fn embed(&self, tokens: Tensor<2, Int>, pass: &Pass) -> Tensor<3> {
        pass.gates.enter(0, true);
        self.prelude
            .iter()
            .fold(self.look_up(tokens), |x, block| block.forward(x, pass))
    }

    /// Returns γ · E[x].
    fn look_up(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let x = embedding(self.tokens.val(), tokens);
        if (self.embedding_scale - 1.0).abs() > f64::EPSILON {
            x * self.embedding_scale
        } else {
            x
        }
    }

    /// Applies the shared norm, the coda and the shared norm again.
    fn read_out(&self, latent: Tensor<3>, pass: &Pass) -> Readout {
        pass.gates.enter(0, true);
        let state = self.norm.forward(latent.clone());
        let y = self
            .coda
            .iter()
            .fold(state.clone(), |x, block| block.forward(x, pass));
        Readout {
            hidden: self.norm.forward(y),
            latent,
            state,
        }
    }
}

/// `R(A(·, e))` with one embedding.
struct Core<'a> {
    blocks: &'a [Block],
    injection: &'a Injection,
    prepared: &'a Prepared,
    pass: &'a Pass,
    /// Iterations done.
    done: usize,
    /// Whether what the gates leave behind counts.
    counted: bool,
}

impl<'a> Core<'a> {
    fn new(
        blocks: &'a [Block],
        injection: &'a Injection,
        prepared: &'a Prepared,
        pass: &'a Pass,
    ) -> Self {
        Self {
            blocks,
            injection,
            prepared,
            pass,
            done: 0,
            counted: true,
        }
    }

    /// Starts after iteration `done`.
    fn after(self, done: usize) -> Self {
        Self { done, ..self }
    }

    /// Leaves nothing behind of its gates.
    fn uncounted(self) -> Self {
        Self {
            counted: false,
            ..self
        }
    }
}

impl Iterate for Core<'_> {
    fn iterate(&mut self, state: Tensor<3>) -> Tensor<3> {
        self.done += 1;
        self.pass.gates.enter(self.done, self.counted);
        let x = self.injection.forward(state, self.prepared);
        self.blocks
            .iter()
            .fold(x, |x, block| block.forward(x, self.pass))
    }
}

#[cfg(test)]
mod tests;
