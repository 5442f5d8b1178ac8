//! A training pass: the loss and its gradients, segment by segment.
//!
//! A pass of r iterations runs the first n without gradient and the other k = r − n with gradient.
//! Backward treats the pass as separate segments: the prelude, each iteration with gradient, and
//! the readout with the loss. Each segment is a graph of its own. The inputs of a segment, s_i and
//! the embedding e, are leaves of its graph. The backward pass of a segment starts from the
//! gradient of the segment's output:
//!
//! ```text
//! readout                 L(s_r)                          gives ∂L/∂s_r
//! for i in r, …, n+1      ⟨R(A(s_{i-1}, e)), ∂L/∂s_i⟩     gives ∂L/∂s_{i-1} and a part of ∂L/∂e
//! prelude                 ⟨e, ∂L/∂e⟩
//! ```
//!
//! The second factor of `⟨y, ∂L/∂y⟩` is a constant, so the gradient of this product is the gradient
//! of L through y. A loop may carry tensors in addition to s_i ([`LoopState`]); these are handled
//! like s_i. The first n iterations build no graph (truncated backpropagation, Geiping et al. 2025,
//! arXiv 2502.05171, §3.3). The prelude gets its gradient through the e that the other k iterations
//! read. If s_0 is e and n is 0, ∂L/∂s_0 is also a part of ∂L/∂e.
//!
//! In addition to the term of the last readout, a loss may have terms of readouts after earlier
//! iterations, and a penalty on s_r ([`Objective`]). The module `terms` computes these terms and
//! the penalty. The gradient of an earlier term with respect to s_i is computed right after
//! iteration i. The backward pass adds this gradient to the gradient from the later iterations.
//!
//! [`Recompute`] selects when the graph of an iteration is built: during the forward pass, or
//! during the backward pass from the saved input of the iteration. The second choice takes less
//! memory and more time. Both choices build the same graphs and add gradients in the same order, so
//! their results are bitwise equal.

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
    /// The loss, `[1]`: the sum of its terms, without a penalty.
    pub loss: Tensor<1>,
    /// The penalty, `[1]`, not multiplied by its factor; `None` if the objective has no penalty.
    pub penalty: Option<Tensor<1>>,
    /// The gradient of the loss plus the penalty times its factor plus the weighted densities of
    /// gates.
    pub gradients: FlatGradients,
}

impl LoopedTransformer {
    /// Runs prelude, loop and coda, and differentiates `loss`, a function of the readout. The loop
    /// starts from `state`: s_0, or the last state of an earlier run.
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

    /// Like [`Self::differentiate`], for an objective. An objective may have a penalty on the last
    /// state, and its loss may have terms of readouts after earlier iterations with gradient. The
    /// returned densities of gates include those of the last readout but not those of earlier
    /// readouts.
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

        // These copies have untracked parameters, which build no graph and give the same numbers as
        // tracked ones. Copies without autodiff would give other numbers, because Burn uses another
        // attention kernel for them.
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

    /// Counts how often layers with gates are applied in the parts of a training pass that have
    /// gradient. The penalty on gates is the mean density of these applications.
    fn penalised_densities(&self, unroll: Unroll) -> usize {
        let gated = |blocks: &[Block]| blocks.iter().filter(|block| block.has_gates()).count();
        gated(&self.prelude) + unroll.with_grad * gated(&self.core) + gated(&self.coda)
    }
}

/// Removes the gradient of each tensor of a state from `gradients`, and returns these gradients.
fn gradients_of(state: &LoopState, gradients: &mut Gradients) -> OfState {
    state.tensors().map(|x| x.grad_remove(gradients)).collect()
}

/// Continues the backward pass into the prelude. `pairs` holds the tensors that the iterations
/// read, each with its gradient; `density` is the sum of the densities of the prelude's gates.
/// Returns `None` if there is no gradient and no weighted density.
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

/// Continues a backward pass from tensors y with known gradients ∂L/∂y. `products` is the sum of
/// `y ⊙ ∂L/∂y` over these tensors. Returns the gradients of `Σ_y ⟨y, ∂L/∂y⟩` plus `weight` times
/// the density.
///
/// Burn starts a backward pass with a gradient of 1 for every element of a tensor. So the products
/// need no sum, which some GPUs compute on a single thread. A density is a single number, so the
/// products are summed if a density is added; each row is summed first.
fn continued(products: Tensor<3>, density: Option<Tensor<1>>, weight: f64) -> Gradients {
    match density {
        Some(_) if weight != 0.0 => {
            with_penalty(products.sum_dim(2).sum(), density, weight).backward()
        }
        _ => products.backward(),
    }
}

/// Returns `loss` plus `weight` times the density of gates, or `loss` alone if the density is
/// missing or its weight is 0.
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
