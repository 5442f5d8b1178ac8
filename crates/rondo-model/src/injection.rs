//! How the embedding e enters each iteration: the injection `A(s, e)`.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::config::{InjectionKind, ModelConfig};
use crate::feed_forward::FeedForward;
use crate::init::Weights;
use crate::ops::{self, Precision};

/// `A(s, e)`, one of four.
#[derive(Module, Debug)]
pub struct Injection {
    adapter: Option<Param<Tensor<2>>>,
    mlp: Option<FeedForward>,
    #[module(skip)]
    kind: InjectionKind,
    #[module(skip)]
    precision: Precision,
}

impl Injection {
    /// Builds the injection.
    pub fn new(config: &ModelConfig, weights: &Weights<'_>) -> Self {
        let kind = config.injection;
        Self {
            adapter: (kind == InjectionKind::Linear).then(|| weights.get("injection.adapter")),
            mlp: (kind == InjectionKind::Ffn).then(|| FeedForward::new("injection.mlp", weights)),
            kind,
            precision: weights.precision(),
        }
    }

    /// Computes what the iterations of a pass share.
    ///
    /// # Shapes
    ///
    /// `embedding`: e, `[batch, seq, d_model]`.
    pub fn prepare(&self, embedding: Tensor<3>) -> Prepared {
        let [_, _, width] = embedding.dims();
        Prepared(match &self.adapter {
            Some(adapter) => {
                let lower = width..2 * width;
                ops::project_rows(embedding, adapter.val(), lower, None, self.precision)
            }
            None => embedding,
        })
    }

    /// Injects the embedding that was prepared into the state.
    ///
    /// # Shapes
    ///
    /// `state` and the result: `[batch, seq, d_model]`.
    ///
    /// # Panics
    ///
    /// Never: [`Self::new`] gives each kind its matrices.
    pub fn forward(&self, state: Tensor<3>, prepared: &Prepared) -> Tensor<3> {
        let embedding = prepared.0.clone();
        match self.kind {
            InjectionKind::Linear => {
                let adapter = self
                    .adapter
                    .as_ref()
                    .expect("a linear injection has its adapter");
                let [_, _, width] = state.dims();
                let base = Some(embedding);
                ops::project_rows(state, adapter.val(), 0..width, base, self.precision)
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

/// What an injection makes of e, the same for every iteration of a pass: `e · A_e` with the lower
/// half of a linear injection's adapter, for the others e itself; `[batch, seq, d_model]`.
#[derive(Clone, Debug)]
pub struct Prepared(pub(crate) Tensor<3>);

impl Prepared {
    /// Returns the same as a constant.
    #[must_use]
    pub fn without_autodiff(&self) -> Self {
        Self(self.0.clone().without_autodiff())
    }
}

#[cfg(test)]
impl Injection {
    /// Replaces the adapter of a linear injection.
    pub(crate) fn set_adapter(&mut self, matrix: Tensor<2>) {
        self.adapter = Some(Param::from_tensor(matrix));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn a_linear_injection_is_the_product_of_state_and_embedding_side_by_side() {
        let device = Device::flex();
        let adapter =
            Tensor::<2>::from_data([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0], [1.0, 1.0]], &device);
        let injection = Injection {
            adapter: Some(Param::from_tensor(adapter)),
            mlp: None,
            kind: InjectionKind::Linear,
            precision: Precision::F32,
        };
        let prepared = injection.prepare(Tensor::from_data([[[5.0, 7.0]]], &device));
        let state = Tensor::from_data([[[1.0, 2.0]]], &device);
        let injected: Vec<f32> = injection
            .forward(state, &prepared)
            .into_data()
            .iter()
            .collect();
        // (1, 2, 5, 7) · A.
        assert_eq!(injected, [1.0 + 15.0 + 7.0, 2.0 + 2.0 + 7.0]);
    }
}
