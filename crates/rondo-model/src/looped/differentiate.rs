//! A training pass: the loss and its gradients, one segment of the pass after another.
//!
//! The states s_n, …, s_r and e cut a pass into prelude, k iterations and read-out. Each is a graph
//! of its own whose inputs are leaves, and backward hands each the gradient of what it gave:
//!
//! ```text
//! read-out                L(s_r)                          gives ∂L/∂s_r
//! for i in r, …, n+1      ⟨R(A(s_{i-1}, e)), ∂L/∂s_i⟩     gives ∂L/∂s_{i-1} and a part of ∂L/∂e
//! prelude                 ⟨e, ∂L/∂e⟩
//! ```
//!
//! where the gradient of `⟨y, ∂L/∂y⟩`, its second factor held constant, is that of L. The first n
//! iterations build no graph (truncated backpropagation, Geiping et al. 2025, arXiv 2502.05171,
//! §3.3); the prelude gets its gradient through e in the others.
//!
//! When an iteration's graph is built is a choice between time and memory ([`Recompute`]): on the
//! way forward, or not before backward arrives there, from the state alone. The graphs are the same
//! and their gradients are added in the same order, so that both give the same bits.

use burn::module::Module;
use burn::tensor::{Int, Tensor, assert_shape};

use super::{Core, Forward, LoopedTransformer, Readout};
use crate::block::Block;
use crate::depth::{Recompute, Unroll};
use crate::gradients::{FlatGradients, GradientSum};
use crate::injection::Prepared;
use crate::pass::Pass;
use crate::recurrence::{self, Iterate, Trace};

/// What a training pass gives; nothing of it has a graph.
#[derive(Clone, Debug)]
pub struct Differentiated {
    /// What the pass computed on its way.
    pub forward: Forward,
    /// The loss, `[1]`.
    pub loss: Tensor<1>,
    /// The gradient of the loss.
    pub gradients: FlatGradients,
}

impl LoopedTransformer {
    /// Runs prelude, loop and coda, and differentiates `loss` of the readout.
    ///
    /// A `trace` receives every state.
    ///
    /// # Shapes
    ///
    /// `tokens`: `[batch, seq]`; `state`: s_0, `[batch, seq, d_model]`; the loss: `[1]`.
    ///
    /// # Panics
    ///
    /// Panics where the model is not on an autodiff device, or `state` has another shape than the
    /// embedding.
    pub fn differentiate(
        &self,
        tokens: Tensor<2, Int>,
        state: Tensor<3>,
        pass: &Pass,
        unroll: Unroll,
        mut trace: Option<&mut Trace>,
        loss: impl FnOnce(&Readout) -> Tensor<1>,
    ) -> Differentiated {
        pass.gates.share(self.gated_layers(unroll));
        let weight = pass.gates.weight();
        let embedding = self.embed(tokens, pass);
        let of_prelude = pass.gates.take_pending();
        let [batch, seq, d_model] = embedding.dims();
        assert_shape!(state, [batch, seq, d_model]);
        let prepared = self.injection.prepare(embedding.clone());
        let constant = prepared.without_autodiff();
        if let Some(trace) = &mut trace {
            trace.record(&state);
        }

        let (blocks, injection) = (self.core.valid(), self.injection.valid());
        let mut free = Core::new(&blocks, &injection, &constant, pass).uncounted();
        let state = recurrence::run(unroll.no_grad, state, &mut free, trace.as_deref_mut());

        // Not a copy without autodiff, where Burn has another attention kernel: parameters that are
        // not tracked build no graph either, and give the numbers of those that are.
        let untracked = (self.recompute == Recompute::Iteration).then(|| {
            (
                self.core.clone().no_grad(),
                self.injection.clone().no_grad(),
            )
        });
        let input = Prepared(leaf(&prepared.0));
        let mut tape = Tape {
            core: Core::new(&self.core, &self.injection, &input, pass).after(unroll.no_grad),
            ahead: untracked.as_ref().map(|(blocks, injection)| {
                let core = Core::new(blocks, injection, &constant, pass);
                core.after(unroll.no_grad).uncounted()
            }),
            weight,
            first: unroll.no_grad,
            iterations: Vec::with_capacity(unroll.with_grad),
        };
        let state = recurrence::run(unroll.with_grad, state, &mut tape, trace);

        let latent = leaf(&state);
        let readout = self.read_out(latent.clone(), pass);
        let loss = loss(&readout);
        let mut sum = GradientSum::new(self);
        let mut gradients =
            with_penalty(loss.clone(), pass.gates.take_pending(), weight).backward();
        sum.take(&mut gradients);
        let of_state = latent.grad_remove(&mut gradients);
        let readout = readout.without_autodiff();
        if let Some(of_prepared) = tape.backward(of_state, &mut sum) {
            let inner = (prepared.0 * of_prepared).sum();
            sum.take(&mut with_penalty(inner, of_prelude, weight).backward());
        }
        Differentiated {
            forward: Forward {
                embedding: embedding.without_autodiff(),
                readout,
            },
            loss: loss.without_autodiff(),
            gradients: sum.finish(),
        }
    }

    /// Returns how often a pass with gradient goes through a layer with gates: the layers that share the
    /// penalty.
    fn gated_layers(&self, unroll: Unroll) -> usize {
        let gated = |blocks: &[Block]| blocks.iter().filter(|block| block.has_gates()).count();
        gated(&self.prelude) + unroll.with_grad * gated(&self.core) + gated(&self.coda)
    }
}

/// The tracked iterations of a pass, in the order in which they ran.
struct Tape<'a> {
    /// The core with its gradient; e is a leaf.
    core: Core<'a>,
    /// The core without one, where graphs are not built before backward.
    ahead: Option<Core<'a>>,
    /// The factor of a layer's density in the loss.
    weight: f64,
    /// n.
    first: usize,
    iterations: Vec<Segment>,
}

/// One iteration's graph, or what it is built of.
struct Segment {
    /// s_{i−1}, the graph's input.
    start: Tensor<3>,
    /// s_i with its graph and the density of its gates, where that has been built.
    end: Option<(Tensor<3>, Option<Tensor<1>>)>,
}

impl Iterate for Tape<'_> {
    fn iterate(&mut self, state: Tensor<3>) -> Tensor<3> {
        // Nothing asks for the gradient of s_n.
        let start = match self.iterations.is_empty() {
            true => state.clone().autodiff(),
            false => leaf(&state),
        };
        let (end, next) = match &mut self.ahead {
            Some(ahead) => (None, ahead.iterate(state.autodiff())),
            None => {
                let end = self.core.iterate(start.clone());
                let density = self.core.pass.gates.take_pending();
                (Some((end.clone(), density)), end)
            }
        };
        self.iterations.push(Segment { start, end });
        next.without_autodiff()
    }
}

impl Tape<'_> {
    /// Goes back from ∂L/∂s_r, adding to `sum`; returns the loss's gradient with respect to what
    /// the injection prepared, where there was an iteration.
    fn backward(
        mut self,
        of_last: Option<Tensor<3>>,
        sum: &mut GradientSum<'_, LoopedTransformer>,
    ) -> Option<Tensor<3>> {
        let mut of_end = of_last;
        let mut of_prepared: Option<Tensor<3>> = None;
        while let (Some(Segment { start, end }), Some(seed)) =
            (self.iterations.pop(), of_end.take())
        {
            let iteration = self.first + self.iterations.len();
            let (end, density) = end.unwrap_or_else(|| {
                self.core.done = iteration;
                let end = self.core.iterate(start.clone());
                (end, self.core.pass.gates.take_pending())
            });
            let inner = (end * seed).sum();
            let mut gradients = with_penalty(inner, density, self.weight).backward();
            sum.take(&mut gradients);
            let part = self.core.prepared.0.grad_remove(&mut gradients);
            of_prepared = match (of_prepared, part) {
                (Some(sum), Some(part)) => Some(sum + part),
                (sum, part) => sum.or(part),
            };
            of_end = start.grad_remove(&mut gradients);
        }
        of_prepared
    }
}

/// Adds the density of some gates to what is differentiated, where it has a part in the loss.
fn with_penalty(loss: Tensor<1>, density: Option<Tensor<1>>, weight: f64) -> Tensor<1> {
    match density {
        Some(density) if weight != 0.0 => loss + density * weight,
        _ => loss,
    }
}

/// Returns the values of a tensor as the input of a graph.
fn leaf(x: &Tensor<3>) -> Tensor<3> {
    x.clone().without_autodiff().autodiff().require_grad()
}

#[cfg(test)]
mod tests;
