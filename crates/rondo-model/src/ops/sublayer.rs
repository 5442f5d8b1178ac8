//! A branch with its norms and its residual connection: on flex one node of the graph with a
//! backward of its own, elsewhere composed of Burn operations.

use std::sync::Arc;

use burn::tensor::Tensor;
use rondo_kernels::attention::{self, Gate, Openness, Preparation, Rope, Shape};
use rondo_kernels::feed_forward::FeedForward;
use rondo_kernels::matrix::Matrix;
use rondo_kernels::norm::RmsNorm;
use rondo_kernels::product::Precision;
use rondo_kernels::self_attention::{self, SelfAttention};
use rondo_kernels::sublayer::{After, Gradients, Saved, Sublayer};

use super::node::{self, Function, Output, Values};
use super::{norm, rms_norm};
use crate::config::BlockKind;
use crate::sparsity::Opening;

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
    gated_sublayer(x, norms, precision, branch, composed).0
}

/// [`sublayer`], with how open its gates were where it has any and one node of the graph has taken their
/// penalty's gradient into its own; `composed` has to see to it itself.
///
/// # Shapes
///
/// As [`sublayer`].
pub fn gated_sublayer(
    x: Tensor<3>,
    norms: Norms,
    precision: Precision,
    branch: impl FnOnce() -> Branch,
    composed: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> (Tensor<3>, Option<Openness>) {
    if node::on_flex(&x) {
        fused(x, norms, precision, branch())
    } else {
        (around(x, norms, composed), None)
    }
}

/// Applies norms and residual connection around any branch.
///
/// # Shapes
///
/// `x`: `[batch, seq, d_model]` to the same.
pub fn around(
    x: Tensor<3>,
    norms: Norms,
    branch: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    join(x, norms, branch, Norm::forward)
}

/// [`around`], its norms composed of Burn operations.
///
/// # Shapes
///
/// As [`around`].
pub fn compose(
    x: Tensor<3>,
    norms: Norms,
    branch: impl FnOnce(Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    join(x, norms, branch, |Norm { scale, eps }, x| {
        norm::compose(x, scale, eps)
    })
}

fn join(
    x: Tensor<3>,
    norms: Norms,
    branch: impl FnOnce(Tensor<3>) -> Tensor<3>,
    normalise: impl Fn(Norm, Tensor<3>) -> Tensor<3>,
) -> Tensor<3> {
    let norm = |norm: Option<Norm>, x| match norm {
        Some(norm) => normalise(norm, x),
        None => x,
    };
    let y = branch(norm(norms.before, x.clone()));
    match norms.kind {
        BlockKind::BranchSandwich => x + norm(norms.after, y),
        BlockKind::Sandwich | BlockKind::PreNorm | BlockKind::PostNorm => norm(norms.after, x + y),
    }
}

fn fused(
    x: Tensor<3>,
    norms: Norms,
    precision: Precision,
    branch: Branch,
) -> (Tensor<3>, Option<Openness>) {
    let described = |norm: &Option<Norm>| {
        norm.as_ref().map(|norm| NormNode {
            scaled: norm.scale.is_some(),
            eps: norm.eps as f32,
        })
    };
    let mut function = SublayerNode {
        kind: norms.kind,
        before: described(&norms.before),
        after: described(&norms.after),
        precision,
        branch: BranchNode::FeedForward,
    };
    let mut inputs = vec![x.into_dispatch()];
    let scales = [norms.before, norms.after].into_iter().flatten();
    inputs.extend(scales.filter_map(|norm| norm.scale.map(Tensor::into_dispatch)));
    match branch {
        Branch::Attention {
            qkv,
            qk_bias,
            gate,
            proj,
            heads,
            angles,
        } => {
            function.branch = BranchNode::Attention(AttentionNode {
                heads,
                angles,
                biased: qk_bias.is_some(),
                gate: gate.as_ref().map(GateNode::of),
            });
            inputs.push(qkv.into_dispatch());
            inputs.extend(qk_bias.map(Tensor::into_dispatch));
            inputs.extend(
                gate.and_then(|gate| gate.learned)
                    .map(Tensor::into_dispatch),
            );
            inputs.push(proj.into_dispatch());
        }
        Branch::FeedForward { in_proj, out_proj } => {
            inputs.extend([in_proj, out_proj].map(Tensor::into_dispatch));
        }
    }
    node::apply(function, inputs)
}

/// A sublayer without its tensors; these are, in order: x, the scale of the norm before, the scale
/// of the norm after, the weights of the branch, each where it is there.
#[derive(Clone, Debug)]
struct SublayerNode {
    kind: BlockKind,
    precision: Precision,
    before: Option<NormNode>,
    after: Option<NormNode>,
    branch: BranchNode,
}

#[derive(Clone, Copy, Debug)]
struct NormNode {
    scaled: bool,
    eps: f32,
}

#[derive(Clone, Debug)]
enum BranchNode {
    Attention(AttentionNode),
    FeedForward,
}

#[derive(Clone, Debug)]
struct AttentionNode {
    heads: Heads,
    angles: Angles,
    biased: bool,
    gate: Option<GateNode>,
}

#[derive(Clone, Copy, Debug)]
struct GateNode {
    opening: attention::Opening,
    bias: f32,
    learned: bool,
    weight: f32,
}

impl GateNode {
    fn of(gate: &EdgeGate) -> Self {
        Self {
            opening: match gate.opening {
                Opening::Hard => attention::Opening::Threshold,
                Opening::Drawn(key) => attention::Opening::Drawn { key },
            },
            bias: gate.bias as f32,
            learned: gate.learned.is_some(),
            weight: gate.weight as f32,
        }
    }
}

/// What a branch keeps.
#[derive(Clone, Debug)]
enum SavedBranch {
    Attention(Saved<self_attention::Saved>),
    FeedForward(Saved<Vec<f32>>),
}

/// The tensors of a sublayer, sorted.
struct Parts<'a> {
    precision: Precision,
    x: Matrix<'a>,
    before: Option<RmsNorm<'a>>,
    after: After<'a>,
    weights: &'a [Values],
}

impl SublayerNode {
    fn parts<'a>(&self, inputs: &'a [Values]) -> Parts<'a> {
        let (x, mut rest) = inputs.split_first().expect("the input of the sublayer");
        let mut norm = |norm: NormNode| {
            let scale = norm.scaled.then(|| {
                let (scale, others) = rest.split_first().expect("a scale for each norm");
                rest = others;
                scale.elements()
            });
            RmsNorm {
                scale,
                eps: norm.eps,
            }
        };
        let before = self.before.map(&mut norm);
        let after = match (self.after.map(&mut norm), self.kind) {
            (None, _) => After::Sum,
            (Some(norm), BlockKind::BranchSandwich) => After::NormOfBranch(norm),
            (Some(norm), _) => After::NormOfSum(norm),
        };
        Parts {
            precision: self.precision,
            x: x.rows(),
            before,
            after,
            weights: rest,
        }
    }
}

impl<'a> Parts<'a> {
    fn around<B>(&self, branch: B) -> Sublayer<'a, B> {
        Sublayer {
            before: self.before,
            branch,
            after: self.after,
        }
    }

    fn feed_forward(&self) -> Sublayer<'a, FeedForward<'a>> {
        self.around(FeedForward {
            in_proj: self.weights[0].rows(),
            out_proj: self.weights[1].rows(),
            precision: self.precision,
        })
    }

    fn attention(
        &self,
        [batch, seq]: [usize; 2],
        node: &'a AttentionNode,
    ) -> Sublayer<'a, SelfAttention<'a>> {
        let AttentionNode {
            heads,
            angles,
            biased,
            gate,
        } = node;
        let mut weights = self.weights.iter();
        let mut next = || {
            weights
                .next()
                .expect("as many tensors as the node has weights")
        };
        let qkv = next();
        let bias = biased.then(|| next().elements());
        let gate = gate.map(|gate| Gate {
            opening: gate.opening,
            bias: gate.bias,
            head_bias: gate.learned.then(|| next().elements()),
            d_density: gate.weight,
        });
        self.around(SelfAttention {
            shape: Shape {
                batch,
                seq,
                heads: heads.queries,
                kv_heads: heads.keys,
                d_head: heads.d_head,
            },
            qkv: qkv.rows(),
            preparation: Preparation {
                bias,
                rope: Some(Rope {
                    cos: &angles.cos,
                    sin: &angles.sin,
                }),
                norm_eps: heads.qk_norm_eps.map(|eps| eps as f32),
            },
            gate,
            proj: next().rows(),
            precision: self.precision,
        })
    }
}

impl Function for SublayerNode {
    type Saved = SavedBranch;
    type Aside = Option<Openness>;

    fn forward(&self, inputs: &[Values], _tracked: bool) -> Output<Self> {
        let parts = self.parts(inputs);
        let mut aside = None;
        let (values, saved) = match &self.branch {
            BranchNode::Attention(node) => {
                let sublayer = parts.attention(sequences(&inputs[0]), node);
                let (out, saved) = sublayer.forward(parts.x);
                aside = saved.branch().openness().cloned();
                (out, SavedBranch::Attention(saved))
            }
            BranchNode::FeedForward => {
                let (out, saved) = parts.feed_forward().forward(parts.x);
                (out, SavedBranch::FeedForward(saved))
            }
        };
        Output {
            values,
            shape: inputs[0].shape(),
            saved,
            aside,
        }
    }

    fn backward(&self, inputs: &[Values], saved: SavedBranch, d_out: &[f32]) -> Vec<Vec<f32>> {
        let parts = self.parts(inputs);
        let [rows, width] = parts.x.shape();
        let d_out = Matrix::new(d_out, rows, width);
        let Gradients { input, weights } = match (&self.branch, saved) {
            (BranchNode::Attention(node), SavedBranch::Attention(saved)) => {
                let sublayer = parts.attention(sequences(&inputs[0]), node);
                sublayer.backward(parts.x, &saved, d_out)
            }
            (BranchNode::FeedForward, SavedBranch::FeedForward(saved)) => {
                parts.feed_forward().backward(parts.x, &saved, d_out)
            }
            _ => unreachable!("a branch keeps what it needs itself"),
        };
        [input].into_iter().chain(weights).collect()
    }
}

/// Returns batch and seq of `[batch, seq, d_model]`.
fn sequences(x: &Values) -> [usize; 2] {
    let shape = x.shape();
    [shape[0], shape[1]]
}
