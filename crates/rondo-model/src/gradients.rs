//! Gradients of every parameter, in the form that the optimizer reads.

use std::ops::Add;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

/// A gradient for each parameter: flat, in the order of [`crate::init::table`].
#[derive(Clone, Debug)]
pub struct FlatGradients(Vec<Tensor<1>>);

impl FlatGradients {
    /// Wraps gradients in table order.
    pub fn new(tensors: Vec<Tensor<1>>) -> Self {
        Self(tensors)
    }

    /// Returns the gradients in table order.
    pub fn tensors(&self) -> &[Tensor<1>] {
        &self.0
    }

    /// Returns the gradients in table order.
    pub fn into_tensors(self) -> Vec<Tensor<1>> {
        self.0
    }
}

impl Add for FlatGradients {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let pairs = self.0.into_iter().zip(other.0);
        Self(pairs.map(|(a, b)| a + b).collect())
    }
}

/// Sums gradients over the segments of a pass, which are differentiated separately.
pub(crate) struct GradientSum<'a, M> {
    model: &'a M,
    sums: Vec<Option<Tensor<1>>>,
}

impl<'a, M: Module> GradientSum<'a, M> {
    /// Starts with sums of zero.
    pub(crate) fn new(model: &'a M) -> Self {
        let sums = Vec::new();
        Self { model, sums }
    }

    /// Removes the gradients of the model's parameters from `gradients`, which holds the gradients
    /// of one segment, and adds them to the sums.
    pub(crate) fn take(&mut self, gradients: &mut Gradients) {
        let mut taker = Taker {
            gradients,
            found: Vec::with_capacity(self.sums.len()),
        };
        self.model.visit(&mut taker);
        self.sums.resize_with(taker.found.len(), || None);
        for (sum, found) in self.sums.iter_mut().zip(taker.found) {
            *sum = match (sum.take(), found) {
                (Some(sum), Some(found)) => Some(sum + found),
                (sum, found) => sum.or(found),
            };
        }
    }

    /// Returns the sums. A parameter that has no gradient in any segment gets a gradient of zeros.
    pub(crate) fn finish(self) -> FlatGradients {
        let mut filler = Filler {
            sums: self.sums.into_iter(),
            filled: Vec::new(),
        };
        self.model.visit(&mut filler);
        FlatGradients(filler.filled)
    }
}

struct Taker<'a> {
    gradients: &'a mut Gradients,
    found: Vec<Option<Tensor<1>>>,
}

impl ModuleVisitor for Taker<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad_remove(self.gradients);
        self.found.push(gradient.map(flat));
    }
}

struct Filler {
    sums: std::vec::IntoIter<Option<Tensor<1>>>,
    filled: Vec<Tensor<1>>,
}

impl ModuleVisitor for Filler {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let sum = self.sums.next().flatten();
        let zero = || flat(param.val().without_autodiff().zeros_like());
        self.filled.push(sum.unwrap_or_else(zero));
    }
}

fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    x.reshape([count])
}
