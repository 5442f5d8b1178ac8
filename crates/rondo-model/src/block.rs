//! One transformer layer; where its norms stand is a choice.
//!
//! | kind | definition |
//! |---|---|
//! | sandwich | x ← attn_out(x + Attn(attn_in x)); x ← ffn_out(x + MLP(ffn_in x)) |
//! | pre-norm | x ← x + Attn(attn_in x); x ← x + MLP(ffn_in x) |
//! | post-norm | x ← attn_out(x + Attn x); x ← ffn_out(x + MLP x) |
//! | branch-sandwich | x ← x + attn_out(Attn(attn_in x)); x ← x + ffn_out(MLP(ffn_in x)) (Ouro, arXiv 2510.25741) |
//! | branch-post-norm | x ← x + attn_out(Attn x); x ← x + ffn_out(MLP x) (OLMo 2, arXiv 2501.00656) |

use burn::module::Module;
use burn::tensor::Tensor;

use crate::attention::{Attention, KeyValues};
use crate::config::{BlockKind, ModelConfig};
use crate::feed_forward::FeedForward;
use crate::gates::OpenEdges;
use crate::init::Weights;
use crate::layer::{At, Layer};
use crate::norm::RmsNorm;
use crate::ops::{
    self, After, AttentionTensors, Operations, SelfAttention, Sublayer, SublayerTensors, composed,
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
}

impl Block {
    /// Builds `layer`.
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
        }
    }

    /// Returns whether its attention has gates.
    pub fn has_gates(&self) -> bool {
        self.attention.has_gates()
    }

    /// Applies the layer. Also returns what its gates saw, where it has any.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn forward(
        &self,
        x: Tensor<3>,
        pass: Shared<'_>,
        at: At,
    ) -> (Tensor<3>, Option<OpenEdges>) {
        let ops = ops::of(&x);
        let (x, open) = self.attend(ops, x, pass, at);
        (self.feed(ops, x), open)
    }

    /// Applies the first sublayer, attention. Also returns what its gates saw, where it has any.
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
    ) -> (Tensor<3>, Option<OpenEdges>) {
        let (sublayer, tensors) = self.attention(x, pass, at);
        ops.attention(&sublayer, tensors, pass.rope)
    }

    /// Applies the second sublayer, the MLP.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn feed(&self, ops: &dyn Operations, x: Tensor<3>) -> Tensor<3> {
        let (mlp, norms) = (&self.feed_forward, [&self.ffn_in, &self.ffn_out]);
        let (sublayer, tensors) = self.around(norms, mlp.description(), x, mlp.weights());
        ops.feed_forward(&sublayer, tensors)
    }

    /// Applies the layer to positions that follow those of `past`; returns the keys and values of
    /// all of them besides.
    ///
    /// # Shapes
    ///
    /// `x`: `[batch, new, d_model]` to the same; `pass` starts at the first new position.
    ///
    /// # Panics
    ///
    /// As [`Attention::forward_after`].
    pub fn forward_after(
        &self,
        x: Tensor<3>,
        pass: Shared<'_>,
        at: At,
        past: Option<&KeyValues>,
    ) -> (Tensor<3>, KeyValues) {
        let ops = ops::of(&x);
        let (sublayer, tensors) = self.attention(x, pass, at);
        let (x, all) = composed::around(ops, &sublayer, tensors, |x, _| {
            self.attention.forward_after(ops, &x, pass, at, past)
        });
        (self.feed(ops, x), all)
    }

    fn attention(
        &self,
        x: Tensor<3>,
        pass: Shared<'_>,
        at: At,
    ) -> (Sublayer<SelfAttention>, AttentionTensors) {
        let (attention, norms) = (&self.attention, [&self.attn_in, &self.attn_out]);
        self.around(
            norms,
            attention.description(pass, at),
            x,
            attention.weights(),
        )
    }

    /// Describes a branch with the norms before and after it, and gives its tensors.
    fn around<B, W>(
        &self,
        [before, after]: [&Option<RmsNorm>; 2],
        branch: B,
        x: Tensor<3>,
        weights: W,
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
                        After::NormOfSum(norm)
                    }
                },
            },
        };
        let tensors = SublayerTensors {
            x,
            before: before.as_ref().and_then(RmsNorm::scale),
            after: after.as_ref().and_then(RmsNorm::scale),
            branch: weights,
        };
        (sublayer, tensors)
    }
}

#[cfg(test)]
mod tests;
