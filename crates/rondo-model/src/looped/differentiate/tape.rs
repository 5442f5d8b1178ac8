//! The iterations with gradient of a pass: the graph of each, and the way back through them.

use std::mem::take;

use burn::tensor::Tensor;

use super::{continued, gradients_of, leaf, terms};
use crate::gates::{Record, penalised};
use crate::gradients::GradientSum;
use crate::injection::Prepared;
use crate::looped::LoopedTransformer;
use crate::looped::iteration::Core;
use crate::recurrence::{Iterate, LoopState};

/// The gradient of each tensor of a state that has one.
pub(super) type OfState = Vec<Option<Tensor<3>>>;

/// The loss's gradient with respect to what the iterations take in.
pub(super) struct OfInput {
    /// Of what the injection prepared; none where no iteration read it.
    pub(super) of_prepared: Option<Tensor<3>>,
    /// Of s_0; none where it is no function of the tokens.
    pub(super) of_start: Option<Tensor<3>>,
}

/// The tracked iterations of a pass, in the order in which they ran.
pub(super) struct Tape<'a> {
    /// The core with its gradient; e is a leaf.
    pub(super) core: Core<'a>,
    /// The core without one, where graphs are not built before backward.
    pub(super) ahead: Option<Core<'a>>,
    /// What the injection prepared, the leaf.
    pub(super) input: &'a Prepared,
    /// Whether s_n is e, so that its gradient is asked for.
    pub(super) starts_from_input: bool,
    /// The factor of a density in the loss.
    pub(super) weight: f64,
    /// What the gates saw of which the graph has been built.
    pub(super) record: Record,
    /// The gradient of what the injection prepared that is known already.
    pub(super) of_prepared: Option<Tensor<3>>,
    pub(super) iterations: Vec<Segment>,
}

/// One iteration's graph, or what it is built of.
pub(super) struct Segment {
    /// s_{i−1} and what is carried beside it, the graph's inputs.
    start: LoopState,
    /// The graph, where it has been built.
    graph: Option<Graph>,
    /// The gradient of a term of the loss with respect to what the iteration gave, where it has one.
    pub(super) of_term: OfState,
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

/// Returns `y ⊙ ∂L/∂y`, added over the tensors y of a state whose gradients are known; none where none is. Those of other widths
/// stand side by side.
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
