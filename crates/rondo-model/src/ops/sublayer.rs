//! A branch with its norms and its residual connection: on flex one node of the graph (`fused`),
//! elsewhere composed of Burn operations.

mod fused;

use std::sync::Arc;

use burn::tensor::Tensor;
use rondo_kernels::product::Precision;

use super::{node, norm, rms_norm};
use crate::config::BlockKind;
use crate::gates::{OpenEdges, Opening};

/// A norm as an operation takes it.
#[derive(Clone, Debug)]
pub struct Norm {
    /// `[d_model]`, or none for ones.
    pub scale: Option<Tensor<1>>,
    /// Added to the mean square.
    pub eps: f64,
}

impl Norm {
    /// Normalises every token, `[batch, seq, d_model]` to the same.
    pub fn forward(self, x: Tensor<3>) -> Tensor<3> {
        rms_norm(x, self.scale, self.eps)
    }
}

/// Where the norms of a sublayer stand; [`crate::block`] has the table.
#[derive(Clone, Debug)]
pub struct Norms {
    /// Which of the four definitions.
    pub kind: BlockKind,
    /// Before the branch.
    pub before: Option<Norm>,
    /// After the branch, inside or outside the residual connection.
    pub after: Option<Norm>,
}

/// What stands between the norms.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one exists at a time, on the stack of a forward pass"
)]
pub enum Branch {
    /// Causal self-attention over whole sequences.
    Attention {
        /// `[d_model, (heads + 2·kv_heads)·d_head]`.
        qkv: Tensor<2>,
        /// `[heads + kv_heads, d_head]`.
        qk_bias: Option<Tensor<2>>,
        /// The gates on its edges, where it has any.
        gate: Option<EdgeGate>,
        /// `[heads·d_head, d_model]`.
        proj: Tensor<2>,
        /// The rest of what it needs to know.
        heads: Heads,
        /// Cosines and sines of the positions.
        angles: Angles,
    },
    /// The gated MLP.
    FeedForward {
        /// `[d_model, 2·d_ff]`.
        in_proj: Tensor<2>,
        /// `[d_ff, d_model]`.
        out_proj: Tensor<2>,
    },
}

/// Gates on the edges of attention.
#[derive(Clone, Debug)]
pub struct EdgeGate {
    /// When a gate opens.
    pub opening: Opening,
    /// b.
    pub bias: f64,
    /// What each head has learned to add to it, `[heads]`.
    pub learned: Option<Tensor<1>>,
    /// The derivative of the loss by the mean of σ(g).
    pub weight: f64,
}

/// What attention needs to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Key heads, and value heads.
    pub keys: usize,
    /// Features of a head.
    pub d_head: usize,
    /// ε of the norm of queries and keys, where there is one.
    pub qk_norm_eps: Option<f64>,
}

/// The angles of the rotary embedding on the host, `[seq, d_head / 2]` each.
#[derive(Clone, Debug)]
pub struct Angles {
    /// The cosines.
    pub cos: Arc<[f32]>,
    /// The sines.
    pub sin: Arc<[f32]>,
}

/// Applies a sublayer to whole sequences; `composed` is the branch made of Burn operations, in f32
/// whatever the `precision` of the products.
///
/// # Shapes
///
/// `x`: `[batch, seq, d_model]` to the same.
pub fn sublayer(
    x: Tensor<3>,
    norms: Norms,
    precision: Precision,
    branch: impl FnOnce() -> Branch,
    composed: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    gated_sublayer(x, norms, precision, branch, |x| (composed(x), None)).0
}

/// As [`sublayer`]. Also returns what its gates saw, where it has any.
///
/// # Shapes
///
/// As [`sublayer`].
pub fn gated_sublayer(
    x: Tensor<3>,
    norms: Norms,
    precision: Precision,
    branch: impl FnOnce() -> Branch,
    composed: impl FnOnce(Tensor<3>) -> (Tensor<3>, Option<OpenEdges>),
) -> (Tensor<3>, Option<OpenEdges>) {
    if node::on_flex(&x) {
        fused::apply(x, norms, precision, branch())
    } else {
        around(x, norms, composed)
    }
}

/// Applies norms and residual connection around any branch. Also returns the second part of what the branch gives.
///
/// # Shapes
///
/// `x`: `[batch, seq, d_model]` to the same.
pub fn around<B>(
    x: Tensor<3>,
    norms: Norms,
    branch: impl FnOnce(Tensor<3>) -> (Tensor<3>, B),
) -> (Tensor<3>, B) {
    join(x, norms, branch, Norm::forward)
}

/// [`around`], its norms composed of Burn operations.
///
/// # Shapes
///
/// As [`around`].
pub fn compose<B>(
    x: Tensor<3>,
    norms: Norms,
    branch: impl FnOnce(Tensor<3>) -> (Tensor<3>, B),
) -> (Tensor<3>, B) {
    join(x, norms, branch, |Norm { scale, eps }, x| {
        norm::compose(x, scale, eps)
    })
}

fn join<B>(
    x: Tensor<3>,
    norms: Norms,
    branch: impl FnOnce(Tensor<3>) -> (Tensor<3>, B),
    normalise: impl Fn(Norm, Tensor<3>) -> Tensor<3>,
) -> (Tensor<3>, B) {
    let norm = |norm: Option<Norm>, x| match norm {
        Some(norm) => normalise(norm, x),
        None => x,
    };
    let (y, second) = branch(norm(norms.before, x.clone()));
    let y = match norms.kind {
        BlockKind::BranchSandwich => x + norm(norms.after, y),
        BlockKind::Sandwich | BlockKind::PreNorm | BlockKind::PostNorm => norm(norms.after, x + y),
    };
    (y, second)
}
