//! A training pass: the loss and its gradients, segment by segment.
//!
//! The states s_n, …, s_r and e divide a pass into prelude, k iterations and readout. Each segment
//! is a graph of its own whose inputs are leaves. Backward starts each graph from the gradient of
//! its output:
//!
//! ```text
//! readout                 L(s_r)                          gives ∂L/∂s_r
//! for i in r, …, n+1      ⟨R(A(s_{i-1}, e)), ∂L/∂s_i⟩     gives ∂L/∂s_{i-1} and a part of ∂L/∂e
//! prelude                 ⟨e, ∂L/∂e⟩
//! ```
//!
//! Here the gradient of `⟨y, ∂L/∂y⟩`, with its second factor constant, is the gradient of L. All
//! tensors that a loop carries in addition to s_i ([`LoopState`]) are handled like s_i. The first n
//! iterations build no graph (truncated backpropagation, Geiping et al. 2025, arXiv 2502.05171,
//! §3.3); the prelude gets its gradient through e in the other iterations. If s_0 is e and n is 0,
//! ∂L/∂s_0 is also a part of ∂L/∂e.
//!
//! A loss may have terms after earlier iterations and a penalty on s_r ([`Objective`]); the module
//! `terms` computes them. The gradient of a term with respect to its state is computed right after
//! the iteration, and backward adds it to the gradient from the later iterations.
//!
//! [`Recompute`] selects when the graph of an iteration is built, which trades time for memory:
//! during forward, or in backward from the state alone. The graphs are the same and their gradients
//! are added in the same order, so the results are bitwise equal.

mod tape;
mod terms;

use std::ops::Add;

use burn::tensor::{Gradients, Int, Tensor, assert_shape};

use self::tape::{OfInput, OfState, Tape};
use super::iteration::{Core, OwnParts};
use super::{Forward, LoopedTransformer, Readout};
use crate::block::Block;
use crate::depth::{Recompute, Unroll};
use crate::gates::{Record, penalised};
use crate::gradients::{FlatGradients, GradientSum};
use crate::injection::Prepared;
use crate::objective::{LastReadout, Objective};
use crate::pass::Pass;
use crate::recurrence::{self, LoopState, Trace};

/// The result of a training pass, without graphs.
#[derive(Clone, Debug)]
pub struct Differentiated {
    /// The result of the forward pass.
    pub forward: Forward,
    /// The loss: the sum of its terms, `[1]`, without a penalty.
    pub loss: Tensor<1>,
    /// The penalty, without its factor, `[1]`; `None` without a penalty.
    pub penalty: Option<Tensor<1>>,
    /// The gradient of the loss.
    pub gradients: FlatGradients,
}

impl LoopedTransformer {
    /// Runs prelude, loop and coda, and differentiates `loss` of the readout. The loop starts from
    /// s_0, or continues from the end of an earlier run.
    ///
    /// If `trace` is given, it receives every state.
    ///
    /// # Shapes
    ///
    /// `tokens`: `[batch, seq]`; `state`: `[batch, seq, d_model]`; the loss: `[1]`.
    ///
    /// # Panics
    ///
    /// Panics if the model is not on an autodiff device, or if the shapes of `state` and the
    /// embedding differ.
    pub fn differentiate(
        &self,
        tokens: Tensor<2, Int>,
        state: impl Into<LoopState>,
        pass: &Pass,
        unroll: Unroll,
        trace: Option<&mut Trace>,
        loss: impl FnOnce(&Readout) -> Tensor<1>,
    ) -> Differentiated {
        let mut objective = LastReadout::new(loss);
        self.differentiate_for(tokens, state, pass, unroll, trace, &mut objective)
    }

    /// Like [`Self::differentiate`], for a loss that may have terms after earlier iterations with
    /// gradient, and a penalty on the last state. The densities of gates are those of the pass and
    /// its last readout, without the readouts of earlier terms.
    ///
    /// # Shapes
    ///
    /// As [`Self::differentiate`].
    ///
    /// # Panics
    ///
    /// As [`Self::differentiate`].
    pub fn differentiate_for(
        &self,
        tokens: Tensor<2, Int>,
        state: impl Into<LoopState>,
        pass: &Pass,
        unroll: Unroll,
        mut trace: Option<&mut Trace>,
        objective: &mut impl Objective,
    ) -> Differentiated {
        let (pass, state) = (
            pass.penalised(self.penalised_densities(unroll)),
            state.into(),
        );
        let mut record = Record::default();
        let (embedding, seen) = self.embed(tokens, pass);
        record.add(&seen);
        let of_prelude = penalised(seen);
        let [batch, seq, d_model] = embedding.dims();
        assert_shape!(state.state(), [batch, seq, d_model]);
        let starts_from_input = self.starts_from_input && state.iterations() == 0;
        let state = self
            .started(state, &embedding)
            .map(Tensor::without_autodiff);
        let prepared = self.injection.prepare(embedding.clone());
        let constant = prepared.without_autodiff();
        if let Some(trace) = &mut trace {
            trace.record(state.state());
        }

        let valid = OwnParts::valid(self);
        let depth = state.iterations() + unroll.total();
        let mut free = Core::new(valid.parts(), &constant, pass, depth);
        let state = recurrence::run(unroll.no_grad, state, &mut free, trace.as_deref_mut());

        // A copy without autodiff would use another attention kernel of Burn. Untracked parameters
        // build no graph either, and give the same numbers as tracked ones.
        let ahead = (self.recompute == Recompute::Iteration).then(|| OwnParts::no_grad(self));
        let input = Prepared(leaf(&prepared.0));
        let mut tape = Tape {
            core: Core::new(self.parts(), &input, pass, depth),
            ahead: ahead
                .as_ref()
                .map(|ahead| Core::new(ahead.parts(), &constant, pass, depth)),
            input: &input,
            starts_from_input: starts_from_input && unroll.no_grad == 0,
            weight: pass.weight,
            record,
            of_prepared: None,
            iterations: Vec::with_capacity(unroll.with_grad),
        };
        let mut sum = GradientSum::new(self);
        let mut losses: Vec<Tensor<1>> = Vec::new();
        let mut state = state;
        for left in (0..unroll.with_grad).rev() {
            state = recurrence::run(1, state, &mut tape, trace.as_deref_mut());
            if left > 0 && objective.reads(state.iterations()) {
                let (term, of_end) = self.earlier_term(&state, pass, objective, &mut sum);
                tape.add_term(of_end);
                losses.push(term);
            }
        }

        let last = state.map(|x| leaf(&x));
        let (readout, seen) = self.read_out(&last, pass);
        tape.record.add(&seen);
        let loss = objective.term(last.iterations(), &readout);
        let (of_norm, mut penalty) = terms::of_state(objective, &last);
        let differentiated = with_penalty(loss.clone(), penalised(seen), pass.weight);
        let differentiated = match of_norm {
            Some(term) => differentiated + term,
            None => differentiated,
        };
        let mut gradients = differentiated.backward();
        sum.take(&mut gradients);
        let of_state = gradients_of(&last, &mut gradients);
        let readout = readout.without_autodiff();
        if let Some((found, of_prepared)) = tape.penalty(objective, &last, pass, &mut sum) {
            (penalty, tape.of_prepared) = (Some(found), of_prepared);
        }
        let OfInput {
            of_prepared,
            of_start,
        } = tape.backward(of_state, &mut sum);
        let products = [(prepared.0, of_prepared), (embedding.clone(), of_start)];
        if let Some(mut gradients) = of_embedding(products, of_prelude, pass.weight) {
            sum.take(&mut gradients);
        }
        Differentiated {
            forward: Forward {
                embedding: embedding.without_autodiff(),
                readout,
                densities: tape.record.finish(),
            },
            loss: terms::total(losses, loss.without_autodiff()),
            penalty,
            gradients: sum.finish(),
        }
    }

    /// Returns the number of applications of layers with gates that have gradient in a training
    /// pass. The penalty is the mean of their densities.
    fn penalised_densities(&self, unroll: Unroll) -> usize {
        let gated = |blocks: &[Block]| blocks.iter().filter(|block| block.has_gates()).count();
        gated(&self.prelude) + unroll.with_grad * gated(&self.core) + gated(&self.coda)
    }
}

/// Removes and returns the gradient of each tensor of a state.
fn gradients_of(state: &LoopState, gradients: &mut Gradients) -> OfState {
    state.tensors().map(|x| x.grad_remove(gradients)).collect()
}

/// Continues backward into the prelude, from pairs of a tensor that the iterations read and its
/// gradient. Returns `None` if there is nothing to differentiate.
fn of_embedding(
    pairs: [(Tensor<3>, Option<Tensor<3>>); 2],
    density: Option<Tensor<1>>,
    weight: f64,
) -> Option<Gradients> {
    let products = pairs
        .into_iter()
        .filter_map(|(y, seed)| seed.map(|seed| y * seed));
    match (products.reduce(Add::add), density) {
        (Some(products), density) => Some(continued(products, density, weight)),
        (None, Some(density)) if weight != 0.0 => Some((density * weight).backward()),
        (None, _) => None,
    }
}

/// Continues a backward pass from tensors y with known gradients. `products` is the sum of
/// `y ⊙ ∂L/∂y` over them. Returns the gradients of `Σ_y ⟨y, ∂L/∂y⟩` and of the penalty.
///
/// Backward starts from a gradient of ones in the shape of its tensor. So the products are not
/// summed: some GPUs compute a full sum on a single thread. With a penalty, which is a single
/// number, the products are summed, each row first.
fn continued(products: Tensor<3>, density: Option<Tensor<1>>, weight: f64) -> Gradients {
    match density {
        Some(_) if weight != 0.0 => {
            with_penalty(products.sum_dim(2).sum(), density, weight).backward()
        }
        _ => products.backward(),
    }
}

/// Adds the density of gates to the differentiated loss, if it has a weight there.
fn with_penalty(loss: Tensor<1>, density: Option<Tensor<1>>, weight: f64) -> Tensor<1> {
    match density {
        Some(density) if weight != 0.0 => loss + density * weight,
        _ => loss,
    }
}

/// Returns the values of a tensor as the leaf of a new graph.
fn leaf(x: &Tensor<3>) -> Tensor<3> {
    x.clone().without_autodiff().autodiff().require_grad()
}

#[cfg(test)]
mod tests;
