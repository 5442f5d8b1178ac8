//! Names for the tensors of each operation, and the position of each tensor in a node of the graph.

use burn::tensor::Tensor;
use rondo_kernels::average::{Blend, BlendTensors, Total, TotalTensors};
use rondo_kernels::cross_entropy;
use rondo_kernels::feed_forward::{FeedForward, FeedForwardWeights};
use rondo_kernels::injection::channels::{Channels, ChannelsTensors};
use rondo_kernels::injection::history::{Difference, DifferenceTensors};
use rondo_kernels::injection::mix::{Mix, MixTensors};
use rondo_kernels::injection::orthogonal::{Orthogonal, OrthogonalTensors};
use rondo_kernels::lanes::{LaneMix, LaneMixTensors};
use rondo_kernels::norm::Norm;
use rondo_kernels::projection::{Projection, ProjectionTensors};
use rondo_kernels::self_attention::{AttentionWeights, SelfAttention};
use rondo_kernels::sublayer::{Sublayer, SublayerTensors};

#[cfg(feature = "cube")]
use super::Product;
#[cfg(feature = "cube")]
use super::cube::{ResidualNorm, RotatedAttention, SoftmaxAttention};

/// The tensors of attention and its norms.
pub type AttentionTensors =
    SublayerTensors<Tensor<3>, AttentionWeights<Tensor<2>, Tensor<1>>, Tensor<1>>;

/// The tensors of the gated MLP and its norms.
pub type FeedForwardTensors = SublayerTensors<Tensor<3>, FeedForwardWeights<Tensor<2>>, Tensor<1>>;

/// The heads of attention. The number of query heads is a multiple of `kv_heads`. Each key head and
/// its value head serve a group of consecutive query heads.
#[derive(Clone, Debug)]
pub struct AttentionHeads {
    /// The rotated queries, `[batch, heads, seq, d_head]`.
    pub queries: Tensor<4>,
    /// The rotated keys, `[batch, kv_heads, seq, d_head]`.
    pub keys: Tensor<4>,
    /// The values, `[batch, kv_heads, seq, d_head]`.
    pub values: Tensor<4>,
}

/// Names for at most N operands, and the position of each operand in a node. A missing operand
/// leaves its position empty.
pub(super) trait Names<const N: usize> {
    /// A struct that names the operands; each operand has type T.
    type Of<T>;

    /// Moves every operand to its position.
    fn places<T>(named: Self::Of<T>) -> [Option<T>; N];

    /// Names every operand; the inverse of [`Self::places`].
    fn named<T>(places: [Option<T>; N]) -> Self::Of<T>;
}

/// Implements [`Names`] for an operation. The arguments are the operation, the struct that names
/// its operands, the number of positions, the positions in order, the positions that are never
/// empty, and a pattern that assigns positions to names.
macro_rules! names {
    ($operation:ty, $of:ty, $count:literal, [$($place:ident),*], [$($needed:ident),*], $($named:tt)*) => {
        impl Names<$count> for $operation {
            type Of<T> = $of;

            fn places<T>(named: $of) -> [Option<T>; $count] {
                let $($named)* = named;
                $(let $needed = Some($needed);)*
                [$($place),*]
            }

            fn named<T>([$($place),*]: [Option<T>; $count]) -> $of {
                $(let $needed = $needed.expect("an operand that is always there");)*
                $($named)*
            }
        }
    };
}

/// The tensors of a norm.
pub(super) struct NormTensors<T> {
    pub(super) x: T,
    pub(super) scale: Option<T>,
}

/// The tensors of a norm with a residual connection.
#[cfg(feature = "cube")]
pub(super) struct ResidualNormTensors<T> {
    pub(super) x: T,
    pub(super) y: T,
    pub(super) scale: Option<T>,
}

/// An operation on one tensor.
#[cfg(feature = "cube")]
pub(super) struct OneTensor;

/// The operand of an operation on one tensor.
#[cfg(feature = "cube")]
pub(super) struct Lone<T> {
    pub(super) x: T,
}

/// The factors of a product.
#[cfg(feature = "cube")]
pub(super) struct Factors<T> {
    pub(super) a: T,
    pub(super) b: T,
}

/// The fused rows of queries, keys and values, and the bias of queries and keys.
#[cfg(feature = "cube")]
pub(super) struct Qkv<T> {
    pub(super) qkv: T,
    pub(super) bias: Option<T>,
}

/// The tensors of attention without gates, with separate heads.
#[cfg(feature = "cube")]
pub(super) struct Heads<T> {
    pub(super) queries: T,
    pub(super) keys: T,
    pub(super) values: T,
}

/// The hidden states and the matrix of the head, for the loss.
#[cfg_attr(feature = "cube", derive(Clone, Debug))]
pub(super) struct HeadTensors<T> {
    pub(super) hidden: T,
    pub(super) matrix: T,
}

names! {
    Norm, NormTensors<T>, 2, [x, scale], [x],
    NormTensors { x, scale }
}

#[cfg(feature = "cube")]
names! {
    ResidualNorm, ResidualNormTensors<T>, 3, [x, y, scale], [x, y],
    ResidualNormTensors { x, y, scale }
}

#[cfg(feature = "cube")]
names! {
    OneTensor, Lone<T>, 1, [x], [x],
    Lone { x }
}

#[cfg(feature = "cube")]
names! {
    Product, Factors<T>, 2, [a, b], [a, b],
    Factors { a, b }
}

#[cfg(feature = "cube")]
names! {
    RotatedAttention, Qkv<T>, 2, [qkv, bias], [qkv],
    Qkv { qkv, bias }
}

#[cfg(feature = "cube")]
names! {
    SoftmaxAttention, Heads<T>, 3, [queries, keys, values], [queries, keys, values],
    Heads { queries, keys, values }
}

names! {
    Projection, ProjectionTensors<T>, 3, [x, weight, base], [x, weight],
    ProjectionTensors { x, weight, base }
}

names! {
    Channels, ChannelsTensors<T>, 4, [x, base, a_log, dt_bias], [x, a_log, dt_bias],
    ChannelsTensors { x, base, a_log, dt_bias }
}

names! {
    Orthogonal, OrthogonalTensors<T>, 4, [x, update, a_log, dt_bias], [x, update, a_log, dt_bias],
    OrthogonalTensors { x, update, a_log, dt_bias }
}

names! {
    Total, TotalTensors<T>, 4, [z, past, query, beta], [z, query],
    TotalTensors { z, past, query, beta }
}

names! {
    Blend, BlendTensors<T>, 4, [z, average, total, query], [z, average, total, query],
    BlendTensors { z, average, total, query }
}

names! {
    LaneMix, LaneMixTensors<T>, 4, [lanes, fresh, weights, gains], [lanes, weights],
    LaneMixTensors { lanes, fresh, weights, gains }
}

names! {
    Mix, MixTensors<T>, 3, [x, embedding, alpha], [x, embedding, alpha],
    MixTensors { x, embedding, alpha }
}

names! {
    Difference, DifferenceTensors<T>, 4, [x, past, base, coefficients], [x, past, coefficients],
    DifferenceTensors { x, past, base, coefficients }
}

names! {
    cross_entropy::Head, HeadTensors<T>, 2, [hidden, matrix], [hidden, matrix],
    HeadTensors { hidden, matrix }
}

names! {
    Sublayer<FeedForward>, SublayerTensors<T, FeedForwardWeights<T>>, 5,
    [x, before, after, in_proj, out_proj], [x, in_proj, out_proj],
    SublayerTensors { x, before, after, branch: FeedForwardWeights { in_proj, out_proj } }
}

names! {
    Sublayer<SelfAttention>, SublayerTensors<T, AttentionWeights<T>>, 9,
    [x, before, after, qkv, qk_bias, q_norm, k_norm, gate_bias, proj], [x, qkv, proj],
    SublayerTensors {
        x, before, after, branch: AttentionWeights { qkv, qk_bias, q_norm, k_norm, gate_bias, proj }
    }
}
