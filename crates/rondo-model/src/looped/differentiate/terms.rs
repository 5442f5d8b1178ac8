//! The terms of a loss for readouts after earlier iterations, and the penalty on the last state.

use std::ops::Add;

use burn::tensor::Tensor;

use super::tape::{OfState, Tape};
use super::{gradients_of, leaf};
use crate::gradients::GradientSum;
use crate::looped::LoopedTransformer;
use crate::objective::Objective;
use crate::pass::Shared;
use crate::penalty::{Penalty, forward_difference, mean_square, residual};
use crate::recurrence::LoopState;

impl LoopedTransformer {
    /// Differentiates the term after an iteration and adds the parameters' gradients to `sum`.
    /// Returns the term and its gradient with respect to the state.
    pub(super) fn earlier_term(
        &self,
        state: &LoopState,
        pass: Shared<'_>,
        objective: &mut impl Objective,
        sum: &mut GradientSum<'_, Self>,
    ) -> (Tensor<1>, OfState) {
        let state = state.clone().map(|x| leaf(&x));
        let (readout, _) = self.read_out(&state, pass.unpenalised());
        let term = objective.term(state.iterations(), &readout);
        let mut gradients = term.backward();
        sum.take(&mut gradients);
        let of_state = gradients_of(&state, &mut gradients);
        (term.without_autodiff(), of_state)
    }
}

/// Returns the penalty [`Penalty::Norm`], which is differentiated together with the last readout:
/// first the penalty times its factor, then the penalty itself. Both are `None` if the objective
/// has no such penalty.
pub(super) fn of_state(
    objective: &impl Objective,
    last: &LoopState,
) -> (Option<Tensor<1>>, Option<Tensor<1>>) {
    match objective.penalty() {
        Some((Penalty::Norm, factor)) => {
            let found = mean_square(last.state().clone());
            (Some(found.clone() * factor), Some(found.without_autodiff()))
        }
        Some((Penalty::Jacobian { .. } | Penalty::FixedPoint, _)) | None => (None, None),
    }
}

impl<'a> Tape<'a> {
    /// Stores the gradient of a term after the newest iteration.
    pub(super) fn add_term(&mut self, of_end: OfState) {
        let newest = self.iterations.last_mut();
        newest.expect("an iteration has run").of_term = of_end;
    }

    /// Differentiates a penalty that applies the last iteration once more, and adds the parameters'
    /// gradients to `sum`. Returns the penalty and its gradient with respect to the prepared
    /// injection, or `None` if the objective has no such penalty.
    pub(super) fn penalty(
        &self,
        objective: &impl Objective,
        last: &LoopState,
        pass: Shared<'a>,
        sum: &mut GradientSum<'_, LoopedTransformer>,
    ) -> Option<(Tensor<1>, Option<Tensor<3>>)> {
        let (penalty, factor) = objective.penalty()?;
        // Moves a tensor into the graph as a constant, without gradient.
        let constant = |x: Tensor<3>| x.without_autodiff().autodiff();
        let held = || last.clone().once_more().map(constant);
        let core = self.core.with_pass(pass.unpenalised());
        let f = |x: Tensor<3>| core.apply(held().at(x)).0.into_state();
        let x = constant(last.state().clone());
        let found = match penalty {
            Penalty::Norm => return None,
            Penalty::FixedPoint => residual(f, &x),
            Penalty::Jacobian { direction, epsilon } => {
                forward_difference(f, &x, constant((**direction).clone()), *epsilon)
            }
        };
        let mut gradients = (found.clone() * factor).backward();
        sum.take(&mut gradients);
        let of_prepared = self.input.0.grad_remove(&mut gradients);
        Some((found.without_autodiff(), of_prepared))
    }
}

/// Returns the sum of the terms after earlier iterations and of the last one.
pub(super) fn total(earlier: Vec<Tensor<1>>, last: Tensor<1>) -> Tensor<1> {
    match earlier.into_iter().reduce(Add::add) {
        Some(sum) => sum + last,
        None => last,
    }
}

/// Adds two gradients of a state, tensor by tensor.
pub(super) fn added(a: OfState, b: OfState) -> OfState {
    if b.is_empty() {
        return a;
    }
    if a.is_empty() {
        return b;
    }
    let pairs = a.into_iter().zip(b);
    pairs
        .map(|pair| match pair {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        })
        .collect()
}
