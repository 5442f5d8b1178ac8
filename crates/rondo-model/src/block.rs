//! One transformer layer; where its norms stand is a choice.
//!
//! | kind | definition |
//! |---|---|
//! | sandwich | x ← attn_out(x + Attn(attn_in x)); x ← ffn_out(x + MLP(ffn_in x)) |
//! | pre-norm | x ← x + Attn(attn_in x); x ← x + MLP(ffn_in x) |
//! | post-norm | x ← attn_out(x + Attn x); x ← ffn_out(x + MLP x) |
//! | branch-sandwich | x ← x + attn_out(Attn(attn_in x)); x ← x + ffn_out(MLP(ffn_in x)) |

use burn::module::Module;
use burn::tensor::Tensor;

use crate::attention::{Attention, KeyValues, Rope};
use crate::config::{BlockKind, ModelConfig};
use crate::feed_forward::FeedForward;
use crate::init::Weights;
use crate::norm::RmsNorm;

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
    /// Builds the layer at path `name`.
    pub fn new(config: &ModelConfig, name: &str, weights: &Weights<'_>) -> Self {
        let norm = |place: &str| RmsNorm::new(config.norm, &format!("{name}.{place}"), weights);
        let before = config.block != BlockKind::PostNorm;
        let after = config.block != BlockKind::PreNorm;
        Self {
            attention: Attention::new(config, &format!("{name}.attention"), weights),
            feed_forward: FeedForward::new(&format!("{name}.feed_forward"), weights),
            attn_in: before.then(|| norm("attn_in")),
            attn_out: after.then(|| norm("attn_out")),
            ffn_in: before.then(|| norm("ffn_in")),
            ffn_out: after.then(|| norm("ffn_out")),
            kind: config.block,
        }
    }

    /// Applies the layer.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn forward(&self, x: Tensor<3>, rope: &Rope) -> Tensor<3> {
        let attend = |x| self.attention.forward(&x, rope);
        let x = self.sublayer(x, self.attn_in.as_ref(), attend, self.attn_out.as_ref());
        let feed = |x| self.feed_forward.forward(x);
        self.sublayer(x, self.ffn_in.as_ref(), feed, self.ffn_out.as_ref())
    }

    /// Applies the layer to positions that follow those of `past`; returns the keys and values of
    /// all of them besides.
    ///
    /// # Shapes
    ///
    /// `x`: `[batch, new, d_model]` to the same; `rope` starts at the first new position.
    ///
    /// # Panics
    ///
    /// As [`Attention::forward_after`].
    pub fn forward_after(
        &self,
        x: Tensor<3>,
        rope: &Rope,
        past: Option<&KeyValues>,
    ) -> (Tensor<3>, KeyValues) {
        let mut all = None;
        let attend = |x| {
            let (y, known) = self.attention.forward_after(&x, rope, past);
            all = Some(known);
            y
        };
        let x = self.sublayer(x, self.attn_in.as_ref(), attend, self.attn_out.as_ref());
        let feed = |x| self.feed_forward.forward(x);
        let x = self.sublayer(x, self.ffn_in.as_ref(), feed, self.ffn_out.as_ref());
        (x, all.expect("a layer attends once"))
    }

    fn sublayer(
        &self,
        x: Tensor<3>,
        before: Option<&RmsNorm>,
        branch: impl FnOnce(Tensor<3>) -> Tensor<3>,
        after: Option<&RmsNorm>,
    ) -> Tensor<3> {
        let norm = |norm: Option<&RmsNorm>, x| match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let y = branch(norm(before, x.clone()));
        match self.kind {
            BlockKind::BranchSandwich => x + norm(after, y),
            BlockKind::Sandwich | BlockKind::PreNorm | BlockKind::PostNorm => norm(after, x + y),
        }
    }
}
