//! How the embedding e enters each iteration: the injection `A(s, e)`.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::config::{InjectionKind, ModelConfig};
use crate::feed_forward::FeedForward;
use crate::init::Weights;
use crate::ops;

/// `A(s, e)`, one of four.
#[derive(Module, Debug)]
pub struct Injection {
    adapter: Option<Param<Tensor<2>>>,
    mlp: Option<FeedForward>,
    #[module(skip)]
    kind: InjectionKind,
}

impl Injection {
    /// Builds the injection.
    pub fn new(config: &ModelConfig, weights: &Weights<'_>) -> Self {
        let kind = config.injection;
        Self {
            adapter: (kind == InjectionKind::Linear).then(|| weights.get("injection.adapter")),
            mlp: (kind == InjectionKind::Ffn).then(|| FeedForward::new("injection.mlp", weights)),
            kind,
        }
    }

    /// Injects the embedding into the state.
    ///
    /// # Shapes
    ///
    /// `state`, `embedding`: `[batch, seq, d_model]`; returns the same.
    ///
    /// # Panics
    ///
    /// Never: [`Self::new`] gives each kind its matrices.
    pub fn forward(&self, state: Tensor<3>, embedding: Tensor<3>) -> Tensor<3> {
        match self.kind {
            InjectionKind::Linear => {
                let adapter = self
                    .adapter
                    .as_ref()
                    .expect("a linear injection has its adapter");
                ops::project_joined(state, embedding, adapter.val())
            }
            InjectionKind::Add => state + embedding,
            InjectionKind::Gate => state * embedding,
            InjectionKind::Ffn => {
                let mlp = self.mlp.as_ref().expect("an ffn injection has its mlp");
                mlp.forward(Tensor::cat(vec![state, embedding], 2))
            }
        }
    }
}

#[cfg(test)]
impl Injection {
    /// Replaces the adapter of a linear injection.
    pub(crate) fn set_adapter(&mut self, matrix: Tensor<2>) {
        self.adapter = Some(Param::from_tensor(matrix));
    }
}
