//! One transformer layer with a choice of places for its norms.
//!
//! | kind | definition |
//! |---|---|
//! | sandwich | x ← attn_out(x + Attn(attn_in x)); x ← ffn_out(x + MLP(ffn_in x)) |
//! | pre-norm | x ← x + Attn(attn_in x); x ← x + MLP(ffn_in x) |
//! | post-norm | x ← attn_out(x + Attn x); x ← ffn_out(x + MLP x) |
//! | branch-sandwich | x ← x + attn_out(Attn(attn_in x)); x ← x + ffn_out(MLP(ffn_in x)) |
//! | branch-post-norm | x ← x + attn_out(Attn x); x ← x + ffn_out(MLP x) |
//!
//! Ouro (arXiv 2510.25741) uses branch-sandwich, and OLMo 2 (arXiv 2501.00656) uses
//! branch-post-norm.
//!
//! A layer of the core may have a branch scale: a factor ε on the branch f (after the norm of the
//! branch, if there is one), or a factor α on x. If the norm n is on the sum, `n(α x + f)` is
//! computed as `n'(x + f/α)`, where n' has `eps/α²` in place of eps. An iteration may change the
//! weights of a layer ([`crate::adjustment`]).

use burn::module::Module;
use burn::tensor::Tensor;

use crate::adjustment::{Adjustment, Change, Factor, with_added};
use crate::attention::{self, Attention, KeyValues};
use crate::config::{BlockKind, BranchFactors, ModelConfig};
use crate::feed_forward::FeedForward;
use crate::gates::OpenEdges;
use crate::init::Weights;
use crate::layer::{At, Layer, Stack};
use crate::norm::RmsNorm;
use crate::ops::{
    self, After, AttentionTensors, AttentionWeights, FeedForwardTensors, FeedForwardWeights, Norm,
    Operations, SelfAttention, Sublayer, SublayerTensors, composed,
};
use crate::pass::Shared;

/// Attention and MLP with residual connections and norms.
#[derive(Module, Debug)]
pub struct Block {
    attention: Attention,
    feed_forward: FeedForward,
    attn_in: Option<RmsNorm>,
    attn_out: Option<RmsNorm>,
    ffn_in: Option<RmsNorm>,
    ffn_out: Option<RmsNorm>,
    #[module(skip)]
    kind: BlockKind,
    /// The factors on the two sides of the block's residual connections, if there are any.
    #[module(skip)]
    factors: Option<BranchFactors>,
}

impl Block {
    /// Builds the block of `layer`.
    pub fn new(config: &ModelConfig, layer: Layer, weights: &Weights<'_>) -> Self {
        let name = layer.name();
        let norm = |place: &str| RmsNorm::new(config.norm, &format!("{name}.{place}"), weights);
        let [before, after] = config.block.norms();
        Self {
            attention: Attention::new(config, layer, weights),
            feed_forward: FeedForward::new(&format!("{name}.feed_forward"), weights),
            attn_in: before.then(|| norm("attn_in")),
            attn_out: after.then(|| norm("attn_out")),
            ffn_in: before.then(|| norm("ffn_in")),
            ffn_out: after.then(|| norm("ffn_out")),
            kind: config.block,
            factors: match layer.stack {
                Stack::Core => config.branch_factors(),
                Stack::Prelude | Stack::Coda => None,
            },
        }
    }

    /// Returns whether the block's attention has gates.
    pub fn has_gates(&self) -> bool {
        self.attention.has_gates()
    }

    /// Applies the layer, with the adjustment of an iteration if there is one. Also returns the
    /// open edges of the layer's gates, if it has gates.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn forward(
        &self,
        x: Tensor<3>,
        pass: Shared<'_>,
        at: At,
        adjustment: Option<&Adjustment>,
    ) -> (Tensor<3>, Option<OpenEdges>) {
        let ops = ops::of(&x);
        let (x, open) = self.attend(ops, x, pass, at, adjustment);
        (self.feed(ops, x, adjustment), open)
    }

    /// Applies the first sublayer, attention. Also returns the open edges of the gates, if there
    /// are gates.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn attend(
        &self,
        ops: &dyn Operations,
        x: Tensor<3>,
        pass: Shared<'_>,
        at: At,
        adjustment: Option<&Adjustment>,
    ) -> (Tensor<3>, Option<OpenEdges>) {
        let (sublayer, tensors) = self.attention(x, pass, at, adjustment);
        ops.attention(&sublayer, tensors, pass.rope)
    }

    /// Applies the second sublayer, the MLP.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn feed(
        &self,
        ops: &dyn Operations,
        x: Tensor<3>,
        adjustment: Option<&Adjustment>,
    ) -> Tensor<3> {
        let (mlp, norms) = (&self.feed_forward, [&self.ffn_in, &self.ffn_out]);
        let change = adjustment.map(|adjustment| &adjustment.feed_forward);
        let (sublayer, mut tensors): (_, FeedForwardTensors) =
            self.around(norms, mlp.description(), x, mlp.weights(), change);
        if let Some(change) = change {
            let FeedForwardWeights { in_proj, out_proj } = tensors.branch;
            tensors.branch = FeedForwardWeights {
                in_proj: with_added(in_proj, change.first.as_ref()),
                out_proj: with_added(out_proj, change.last.as_ref()),
            };
        }
        let last = &mut tensors.branch.out_proj;
        self.multiply(change, last, &mut tensors.after);
        ops.feed_forward(&sublayer, tensors)
    }

    /// Applies the layer to positions that follow those of `past`. Also returns the keys and values
    /// of all these positions.
    ///
    /// # Shapes
    ///
    /// `x`: `[batch, new, d_model]` to the same. The positions of `pass` start at the first new
    /// position.
    ///
    /// # Panics
    ///
    /// As [`attention::forward_after`].
    pub fn forward_after(
        &self,
        x: Tensor<3>,
        pass: Shared<'_>,
        at: At,
        past: Option<&KeyValues>,
        adjustment: Option<&Adjustment>,
    ) -> (Tensor<3>, KeyValues) {
        let ops = ops::of(&x);
        let (sublayer, tensors) = self.attention(x, pass, at, adjustment);
        let (x, all) = composed::around(ops, &sublayer, tensors, |x, weights| {
            attention::forward_after(ops, &sublayer.branch, weights, &x, pass.rope, past)
        });
        (self.feed(ops, x, adjustment), all)
    }

    fn attention(
        &self,
        x: Tensor<3>,
        pass: Shared<'_>,
        at: At,
        adjustment: Option<&Adjustment>,
    ) -> (Sublayer<SelfAttention>, AttentionTensors) {
        let (attention, norms) = (&self.attention, [&self.attn_in, &self.attn_out]);
        let change = adjustment.map(|adjustment| &adjustment.attention);
        let (sublayer, mut tensors): (_, AttentionTensors) = self.around(
            norms,
            attention.description(pass, at),
            x,
            attention.weights(),
            change,
        );
        if let Some(change) = change {
            let weights = tensors.branch;
            tensors.branch = AttentionWeights {
                qkv: with_added(weights.qkv, change.first.as_ref()),
                proj: with_added(weights.proj, change.last.as_ref()),
                ..weights
            };
        }
        let last = &mut tensors.branch.proj;
        self.multiply(change, last, &mut tensors.after);
        (sublayer, tensors)
    }

    /// Multiplies a branch by its factor. The factor is applied to the scale of the norm on the
    /// branch, or to the branch's last matrix if the branch has no such norm.
    fn multiply(
        &self,
        change: Option<&Change>,
        last: &mut Tensor<2>,
        after: &mut Option<Tensor<1>>,
    ) {
        let factor = Factor {
            fixed: self.factors.map(|factors| factors.branch / factors.skip),
            learned: change.and_then(|change| change.branch.clone()),
        };
        match self.kind {
            BlockKind::BranchSandwich | BlockKind::BranchPostNorm => {
                *after = factor.of_scale(after.take(), last);
            }
            BlockKind::Sandwich | BlockKind::PreNorm | BlockKind::PostNorm => {
                *last = factor.of_matrix(last.clone());
            }
        }
    }

    /// Returns the description and the tensors of a sublayer: a branch with the norms before and
    /// after it.
    fn around<B, W>(
        &self,
        [before, after]: [&Option<RmsNorm>; 2],
        branch: B,
        x: Tensor<3>,
        weights: W,
        change: Option<&Change>,
    ) -> (Sublayer<B>, SublayerTensors<Tensor<3>, W, Tensor<1>>) {
        let sublayer = Sublayer {
            before: before.as_ref().map(RmsNorm::description),
            branch,
            after: match after.as_ref().map(RmsNorm::description) {
                None => After::Sum,
                Some(norm) => match self.kind {
                    BlockKind::BranchSandwich | BlockKind::BranchPostNorm => {
                        After::NormOfBranch(norm)
                    }
                    BlockKind::Sandwich | BlockKind::PreNorm | BlockKind::PostNorm => {
                        After::NormOfSum(self.of_scaled_sum(norm))
                    }
                },
            },
        };
        let tensors = SublayerTensors {
            x,
            before: before.as_ref().and_then(|norm| match change {
                Some(change) => change.norm_scale(norm),
                None => norm.scale(),
            }),
            after: after.as_ref().and_then(RmsNorm::scale),
            branch: weights,
        };
        (sublayer, tensors)
    }

    /// Returns the norm n' for which `n'(x + f/α)` equals `norm` of `α x + f`.
    fn of_scaled_sum(&self, norm: Norm) -> Norm {
        match self.factors {
            Some(factors) => Norm {
                eps: (f64::from(norm.eps) / (factors.skip * factors.skip)) as f32,
            },
            None => norm,
        }
    }
}

#[cfg(test)]
mod tests;
