//! The tensor operations of the model's parts.
//!
//! `rondo-kernels` defines a description of each operation: what the operation computes, in which
//! precision, and which of its tensors are present. A separate struct holds the tensors in named
//! fields. [`Operations`] is the interface of a backend. [`of`] selects the backend from the
//! device and the element type of a tensor; no other code depends on the backend.
//!
//! | module | content |
//! |---|---|
//! | `backend` | the interface of a backend, and the selection of one |
//! | `composed` | each operation as a composition of Burn operations; for any device |
//! | `flex` | kernels of `rondo-kernels` as nodes of the graph; for flex |
//! | `cube` | kernels of `rondo-cube` as nodes of the graph; for a GPU |
//! | `graph`, `operands` | nodes for functions with a handwritten backward pass; for any backend |
//! | `head`, `product`, `rope` | head and losses; product of two tensors; rotary tables |

mod backend;
pub(crate) mod composed;
#[cfg(feature = "cube")]
mod cube;
mod flex;
mod graph;
mod head;
mod operands;
mod product;
mod rope;

pub use backend::{Backend, Operations, of};
pub use head::{Head, HeadLoss, TokenLosses, head_cross_entropy, head_logits, head_losses};
pub use operands::{AttentionHeads, AttentionTensors, FeedForwardTensors};
pub use product::Product;
pub use rope::Rope;

pub use rondo_kernels::attention::{Gate, NormedOver, Opening, QkNorm, Segments};
pub use rondo_kernels::average::{Blend, BlendTensors, Forgetting, Total, TotalTensors};
pub use rondo_kernels::feed_forward::{FeedForward, FeedForwardWeights};
pub use rondo_kernels::injection::channels::{Channels, ChannelsTensors, Coefficient};
pub use rondo_kernels::injection::history::{Difference, DifferenceTensors};
pub use rondo_kernels::injection::mix::{Mix, MixTensors};
pub use rondo_kernels::injection::orthogonal::OrthogonalTensors;
pub use rondo_kernels::lanes::{LaneMix, LaneMixTensors};
pub use rondo_kernels::norm::Norm;
pub use rondo_kernels::product::Precision;
pub use rondo_kernels::projection::{Projection, ProjectionTensors};
pub use rondo_kernels::self_attention::{AttentionWeights, Heads, SelfAttention};
pub use rondo_kernels::sublayer::{After, Sublayer, SublayerTensors};

use burn::tensor::Tensor;

/// Returns the factor c of each channel in [`Operations::channels`].
///
/// # Shapes
///
/// `[channels]` to the same.
pub fn coefficients(coefficient: Coefficient, a_log: Tensor<1>, dt_bias: Tensor<1>) -> Tensor<1> {
    composed::coefficients(coefficient, a_log, dt_bias)
}

/// Returns the length of each token's features, `√(Σ x²)`.
///
/// # Shapes
///
/// `x`: `[batch, seq, width]`; returns `[batch, seq, 1]`.
pub fn length(x: Tensor<3>) -> Tensor<3> {
    x.square().sum_dim(2).sqrt()
}
