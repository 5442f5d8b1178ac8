//! `MLP [s ; e]`: the gated MLP on state and embedding side by side, with the state first and
//! without norms.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::feed_forward::FeedForward;
use crate::init::Weights;

/// The MLP maps 2 `d_model` features to `d_model`.
#[derive(Module, Debug)]
pub struct Ffn {
    mlp: FeedForward,
}

impl Ffn {
    pub(super) fn new(weights: &Weights<'_>) -> Self {
        Self {
            mlp: FeedForward::new("injection.mlp", weights),
        }
    }

    pub(super) fn forward(&self, state: Tensor<3>, embedding: Tensor<3>) -> Tensor<3> {
        self.mlp.forward(Tensor::cat(vec![state, embedding], 2))
    }
}
