//! The tensor operations that the parts are made of.
//!
//! An operation is described by plain data, which `rondo-kernels` defines: what it computes, in which
//! precision, and which of its tensors there are. The tensors are the named fields of a struct beside it.
//! [`Operations`] is what a backend computes; [`of`] chooses the backend by the device and the type of a
//! tensor, and nothing else knows which it is.
//!
//! | module | what it holds |
//! |---|---|
//! | `backend` | the operations, and the choice of a backend |
//! | `composed` | each operation made of smaller ones, the smallest of them Burn's: any device |
//! | `flex` | norm, projection, injections, sublayers and the loss as single nodes by `rondo-kernels`: flex |
//! | `cube` | norm, gated SiLU, products, attention and the loss as single nodes by `rondo-cube`: a GPU |
//! | `graph`, `operands` | a function whose backward is written by hand, as one node of the graph of any backend |
//! | `head`, `product`, `rope` | the head with its losses; a product of two tensors; the tables of the rotary embedding |

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

/// The factor of each channel, as [`Operations::channels`] has it.
///
/// # Shapes
///
/// `[channels]` to the same.
pub fn coefficients(coefficient: Coefficient, a_log: Tensor<1>, dt_bias: Tensor<1>) -> Tensor<1> {
    composed::coefficients(coefficient, a_log, dt_bias)
}

/// Length of each token's features, `√(Σ x²)`.
///
/// # Shapes
///
/// `x`: `[batch, seq, width]`; returns `[batch, seq, 1]`.
pub fn length(x: Tensor<3>) -> Tensor<3> {
    x.square().sum_dim(2).sqrt()
}
