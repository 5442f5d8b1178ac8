//! The graphs of a pass's iterations with gradient, and the backward pass through them.

use std::mem::take;

use burn::tensor::Tensor;

use super::{continued, gradients_of, leaf, terms};
use crate::gates::{Record, penalised};
use crate::gradients::GradientSum;
use crate::injection::Prepared;
use crate::looped::LoopedTransformer;
use crate::looped::iteration::Core;
use crate::recurrence::{Iterate, LoopState};

/// The gradient of each tensor of a state, if the tensor has one.
pub(super) type OfState = Vec<Option<Tensor<3>>>;

/// The gradients of the loss with respect to the inputs of the iterations.
pub(super) struct OfInput {
    /// The gradient of the prepared injection; `None` if no iteration read the prepared injection.
    pub(super) of_prepared: Option<Tensor<3>>,
    /// The gradient of s_0; `None` if s_0 does not depend on the tokens.
    pub(super) of_start: Option<Tensor<3>>,
}

/// The tracked iterations of a pass, in forward order.
pub(super) struct Tape<'a> {
    /// The core with gradient, where e is a leaf.
    pub(super) core: Core<'a>,
    /// The core without gradient, if graphs are built during backward.
    pub(super) ahead: Option<Core<'a>>,
    /// The prepared injection, a leaf.
    pub(super) input: &'a Prepared,
    /// Whether s_n is e, so that the gradient of s_n is needed.
    pub(super) starts_from_input: bool,
    /// The weight of a density in the loss.
    pub(super) weight: f64,
    /// The densities of the gates in all graphs built so far.
    pub(super) record: Record,
    /// The sum of the gradients of the prepared injection so far.
    pub(super) of_prepared: Option<Tensor<3>>,
    pub(super) iterations: Vec<Segment>,
}

/// The graph of one iteration, or the data to build it.
pub(super) struct Segment {
    /// The inputs of the graph: s_{i−1} and the tensors carried along with it.
    start: LoopState,
    /// The graph, if it has been built.
    graph: Option<Graph>,
    /// The gradient of a loss term with respect to the output of the iteration, if there is a term.
    pub(super) of_term: OfState,
}

/// The graph of an iteration.
struct Graph {
    /// The output: s_i and the tensors carried along with it.
    end: LoopState,
    /// The sum of the densities through which the penalty is differentiated, `[1]`.
    density: Option<Tensor<1>>,
}

impl Iterate for Tape<'_> {
    fn iterate(&mut self, state: LoopState) -> LoopState {
        // The gradient of s_n is not needed, unless s_n is e.
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
    /// Builds the graph of an iteration and records its densities. This happens once per iteration.
    fn build(&mut self, start: LoopState) -> Graph {
        let (end, seen) = self.core.apply(start);
        self.record.add(&seen);
        Graph {
            end,
            density: penalised(seen),
        }
    }

    /// Runs the backward pass from the gradients of the last state's tensors, and adds the
    /// parameters' gradients to `sum`.
    pub(super) fn backward(
        &mut self,
        of_last: OfState,
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

/// Returns the sum of `y ⊙ ∂L/∂y` over those tensors y of a state whose gradients are known, or
/// `None` if no gradient is known. Tensors of different widths are summed separately, and the sums
/// are concatenated.
fn products(state: &LoopState, gradients: OfState) -> Option<Tensor<3>> {
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
