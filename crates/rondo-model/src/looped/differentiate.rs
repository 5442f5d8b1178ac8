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
//! where the gradient of `⟨y, ∂L/∂y⟩`, its second factor held constant, is that of L. What a loop carries beside s_i ([`LoopState`])
//! goes the same way as s_i. The first n
//! iterations build no graph (truncated backpropagation, Geiping et al. 2025, arXiv 2502.05171,
//! §3.3); the prelude gets its gradient through e in the others. Where s_0 is e and n is 0, ∂L/∂s_0 is a part of
//! ∂L/∂e too.
//!
//! A loss may have terms after earlier iterations and a penalty on s_r ([`Objective`]); `terms` has them. The gradient of a term with
//! respect to its state is known when the iteration has run, and is added to what comes from the iterations after it.
//!
//! When an iteration's graph is built is a choice between time and memory ([`Recompute`]): on the
//! way forward, or not before backward arrives there, from the state alone. The graphs are the same
//! and their gradients are added in the same order, so that both give the same bits.

mod terms;

use std::mem::take;
use std::ops::Add;

use burn::tensor::{Gradients, Int, Tensor, assert_shape};

use super::iteration::{Core, OwnParts};
use super::{Forward, LoopedTransformer, Readout};
use crate::block::Block;
use crate::depth::{Recompute, Unroll};
use crate::gates::{Record, penalised};
use crate::gradients::{FlatGradients, GradientSum};
use crate::injection::Prepared;
use crate::objective::{LastReadout, Objective};
use crate::pass::Pass;
use crate::recurrence::{self, Iterate, LoopState, Trace};

/// What a training pass gives; nothing of it has a graph.
#[derive(Clone, Debug)]
pub struct Differentiated {
    /// What the pass computed on its way.
    pub forward: Forward,
    /// The loss: the sum of its terms, `[1]`, without a penalty.
    pub loss: Tensor<1>,
    /// The penalty, without its factor, `[1]`; none where there is none.
    pub penalty: Option<Tensor<1>>,
    /// The gradient of the loss.
    pub gradients: FlatGradients,
}

impl LoopedTransformer {
    /// Runs prelude, loop and coda, and differentiates `loss` of the readout. The loop starts from s_0, or goes on where an earlier
    /// run of it ended.
    ///
    /// A `trace` receives every state.
    ///
    /// # Shapes
    ///
    /// `tokens`: `[batch, seq]`; `state`: `[batch, seq, d_model]`; the loss: `[1]`.
    ///
    /// # Panics
    ///
    /// Panics where the model is not on an autodiff device, or `state` has another shape than the
    /// embedding.
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

    /// As [`Self::differentiate`], for a loss that may have terms after earlier iterations with gradient, and a penalty on the last
    /// state. Gates have their densities in the pass and its last readout alone.
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

        // Not a copy without autodiff, where Burn has another attention kernel: parameters that are
        // not tracked build no graph either, and give the numbers of those that are.
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
        let mut earlier: Option<Tensor<1>> = None;
        let mut state = state;
        for left in (0..unroll.with_grad).rev() {
            state = recurrence::run(1, state, &mut tape, trace.as_deref_mut());
            if left > 0 && objective.reads(state.iterations()) {
                let (term, of_end) = self.earlier_term(&state, pass, objective, &mut sum);
                tape.add_term(of_end);
                earlier = Some(match earlier {
                    Some(sum) => sum + term,
                    None => term,
                });
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
        if let Some((found, of_prepared)) = tape.penalty(objective, last, pass, &mut sum) {
            (penalty, tape.of_prepared) = (Some(found), of_prepared);
        }
        let OfInput {
            of_prepared,
            of_start,
        } = tape.backward(of_state, &mut sum);
        let products = [(prepared.0, of_prepared), (embedding.clone(), of_start)];
        let products = products
            .into_iter()
            .filter_map(|(y, seed)| seed.map(|seed| y * seed));
        match (products.reduce(Add::add), of_prelude) {
            (Some(products), of_prelude) => {
                sum.take(&mut continued(products, of_prelude, pass.weight));
            }
            (None, Some(density)) if pass.weight != 0.0 => {
                sum.take(&mut (density * pass.weight).backward());
            }
            (None, _) => {}
        }
        Differentiated {
            forward: Forward {
                embedding: embedding.without_autodiff(),
                readout,
                densities: tape.record.finish(),
            },
            loss: match earlier {
                Some(sum) => sum + loss.without_autodiff(),
                None => loss.without_autodiff(),
            },
            penalty,
            gradients: sum.finish(),
        }
    }

    /// Returns how often a training pass applies a layer with gates with gradient: the densities that share
    /// the penalty.
    fn penalised_densities(&self, unroll: Unroll) -> usize {
        let gated = |blocks: &[Block]| blocks.iter().filter(|block| block.has_gates()).count();
        gated(&self.prelude) + unroll.with_grad * gated(&self.core) + gated(&self.coda)
    }
}

/// The loss's gradient with respect to what the iterations take in.
struct OfInput {
    /// Of what the injection prepared; none where no iteration read it.
    of_prepared: Option<Tensor<3>>,
    /// Of s_0; none where it is no function of the tokens.
    of_start: Option<Tensor<3>>,
}

/// The tracked iterations of a pass, in the order in which they ran.
struct Tape<'a> {
    /// The core with its gradient; e is a leaf.
    core: Core<'a>,
    /// The core without one, where graphs are not built before backward.
    ahead: Option<Core<'a>>,
    /// What the injection prepared, the leaf.
    input: &'a Prepared,
    /// Whether s_n is e, so that its gradient is asked for.
    starts_from_input: bool,
    /// The factor of a density in the loss.
    weight: f64,
    /// What the gates saw of which the graph has been built.
    record: Record,
    /// The gradient of what the injection prepared that is known already.
    of_prepared: Option<Tensor<3>>,
    iterations: Vec<Segment>,
}

/// One iteration's graph, or what it is built of.
struct Segment {
    /// s_{i−1} and what is carried beside it, the graph's inputs.
    start: LoopState,
    /// The graph, where it has been built.
    graph: Option<Graph>,
    /// The gradient of a term of the loss with respect to what the iteration gave, where it has one.
    of_term: Vec<Option<Tensor<3>>>,
}

/// The graph of an iteration.
struct Graph {
    /// s_i and what is carried beside it.
    end: LoopState,
    /// The sum of the densities that the penalty is differentiated through, `[1]`.
    density: Option<Tensor<1>>,
}

impl Iterate for Tape<'_> {
    fn iterate(&mut self, state: LoopState) -> LoopState {
        // Nothing asks for the gradient of s_n, unless it is e.
        let start = match self.iterations.is_empty() && !self.starts_from_input {
            true => state.clone().map(Tensor::autodiff),
            false => state.clone().map(|x| leaf(&x)),
        };
        let (graph, next) = match &mut self.ahead {
            Some(ahead) => (None, ahead.iterate(state.map(Tensor::autodiff))),
            None => {
                let graph = self.build(start.clone());
                let end = graph.end.clone();
                (Some(graph), end)
            }
        };
        self.iterations.push(Segment {
            start,
            graph,
            of_term: Vec::new(),
        });
        next.map(Tensor::without_autodiff)
    }
}

impl Tape<'_> {
    /// Builds the graph of an iteration, which is done once for each, and records what its gates saw.
    fn build(&mut self, start: LoopState) -> Graph {
        let (end, seen) = self.core.apply(start);
        self.record.add(&seen);
        Graph {
            end,
            density: penalised(seen),
        }
    }

    /// Goes back from ∂L/∂s_r and those of what is carried beside it, adding to `sum`.
    fn backward(
        &mut self,
        of_last: Vec<Option<Tensor<3>>>,
        sum: &mut GradientSum<'_, LoopedTransformer>,
    ) -> OfInput {
        let mut of_end = of_last;
        let mut of_prepared = self.of_prepared.take();
        while let Some(Segment {
            start,
            graph,
            of_term,
        }) = self.iterations.pop()
        {
            let Graph { end, density } = match graph {
                Some(graph) => graph,
                None => self.build(start.clone()),
            };
            let seeds = terms::added(take(&mut of_end), of_term);
            let Some(products) = products(&end, seeds) else {
                if self.iterations.iter().all(|one| one.of_term.is_empty()) {
                    break;
                }
                continue;
            };
            let mut gradients = continued(products, density, self.weight);
            sum.take(&mut gradients);
            let part = self.input.0.grad_remove(&mut gradients);
            of_prepared = match (of_prepared, part) {
                (Some(sum), Some(part)) => Some(sum + part),
                (sum, part) => sum.or(part),
            };
            of_end = gradients_of(&start, &mut gradients);
        }
        OfInput {
            of_prepared,
            of_start: of_end
                .into_iter()
                .next()
                .flatten()
                .filter(|_| self.starts_from_input),
        }
    }
}

/// Returns `y ⊙ ∂L/∂y`, added over the tensors y of a state whose gradients are known; none where none is. Those of other widths
/// stand side by side.
fn products(state: &LoopState, gradients: Vec<Option<Tensor<3>>>) -> Option<Tensor<3>> {
    let mut sums: Vec<Tensor<3>> = Vec::new();
    for (y, seed) in state.tensors().zip(gradients) {
        let Some(seed) = seed else { continue };
        let product = y.clone() * seed;
        match sums.iter().position(|sum| sum.dims() == product.dims()) {
            Some(place) => sums[place] = sums[place].clone() + product,
            None => sums.push(product),
        }
    }
    match sums.len() {
        0 | 1 => sums.pop(),
        _ => Some(Tensor::cat(sums, 2)),
    }
}

/// Returns the gradient of each tensor of a state that has one.
fn gradients_of(state: &LoopState, gradients: &mut Gradients) -> Vec<Option<Tensor<3>>> {
    state.tensors().map(|x| x.grad_remove(gradients)).collect()
}

/// Continues a backward pass at some y whose gradients are known, from `products`, `y ⊙ ∂L/∂y` added over them: returns the gradients
/// of `Σ_y ⟨y, ∂L/∂y⟩` and of the penalty.
///
/// Backward starts from a gradient of ones in the shape of what it is called on, so that nobody has to
/// sum the products; one thread does on some GPUs. With a penalty, which is one number, each row is
/// summed for itself first.
fn continued(products: Tensor<3>, density: Option<Tensor<1>>, weight: f64) -> Gradients {
    match density {
        Some(_) if weight != 0.0 => {
            with_penalty(products.sum_dim(2).sum(), density, weight).backward()
        }
        _ => products.backward(),
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
