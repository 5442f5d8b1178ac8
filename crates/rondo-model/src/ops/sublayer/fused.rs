//! A sublayer as one node of the graph, by the kernels.

use burn::tensor::Tensor;
use rondo_kernels::attention::{self, Gate, Openness, Preparation, Rope, Shape};
use rondo_kernels::feed_forward::FeedForward;
use rondo_kernels::matrix::Matrix;
use rondo_kernels::norm::RmsNorm;
use rondo_kernels::product::Precision;
use rondo_kernels::self_attention::{self, SelfAttention};
use rondo_kernels::sublayer::{After, Gradients, Saved, Sublayer};

use super::{Angles, Branch, EdgeGate, Heads, Norm, Norms};
use crate::config::BlockKind;
use crate::gates::{OpenEdges, Opening};
use crate::ops::node::{self, Function, Output, Values};

/// Applies a sublayer to a tensor on flex. Also returns what its gates saw, where it has any.
pub(super) fn apply(
    x: Tensor<3>,
    norms: Norms,
    precision: Precision,
    branch: Branch,
) -> (Tensor<3>, Option<OpenEdges>) {
    let described = |norm: &Option<Norm>| {
        norm.as_ref().map(|norm| NormNode {
            scaled: norm.scale.is_some(),
            eps: norm.eps as f32,
        })
    };
    let (branch, weights): (BranchNode, Vec<_>) = match branch {
        Branch::Attention {
            qkv,
            qk_bias,
            gate,
            proj,
            heads,
            angles,
        } => {
            let node = AttentionNode {
                heads,
                angles,
                biased: qk_bias.is_some(),
                gate: gate.as_ref().map(GateNode::of),
            };
            let gate_bias = gate.and_then(|gate| gate.learned);
            let weights = [
                Some(qkv.into_dispatch()),
                qk_bias.map(Tensor::into_dispatch),
                gate_bias.map(Tensor::into_dispatch),
                Some(proj.into_dispatch()),
            ];
            let weights = weights.into_iter().flatten().collect();
            (BranchNode::Attention(node), weights)
        }
        Branch::FeedForward { in_proj, out_proj } => {
            let weights = [in_proj, out_proj].map(Tensor::into_dispatch);
            (BranchNode::FeedForward, weights.into())
        }
    };
    let function = SublayerNode {
        kind: norms.kind,
        precision,
        before: described(&norms.before),
        after: described(&norms.after),
        branch,
    };
    let norms = [norms.before, norms.after].into_iter().flatten();
    let scales = norms.filter_map(|norm| norm.scale.map(Tensor::into_dispatch));
    let inputs = [x.into_dispatch()].into_iter().chain(scales);
    let inputs = inputs.chain(weights).collect();
    let (y, openness) = node::apply(function, inputs);
    let open = openness.map(|openness| OpenEdges::Node {
        expected: openness.density(),
        hard: openness.open_share(),
    });
    (y, open)
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
