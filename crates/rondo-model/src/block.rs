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
use crate::ops::{self, Norms};

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
        let x = self.attention.sublayer(x, self.attention_norms(), rope);
        self.feed_forward.sublayer(x, self.feed_forward_norms())
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
        let x = ops::compose(x, self.attention_norms(), |x| {
            let (y, known) = self.attention.forward_after(&x, rope, past);
            all = Some(known);
            y
        });
        let x = self.feed_forward.sublayer(x, self.feed_forward_norms());
        (x, all.expect("a layer attends once"))
    }

    fn attention_norms(&self) -> Norms {
        self.norms(self.attn_in.as_ref(), self.attn_out.as_ref())
    }

    fn feed_forward_norms(&self) -> Norms {
        self.norms(self.ffn_in.as_ref(), self.ffn_out.as_ref())
    }

    fn norms(&self, before: Option<&RmsNorm>, after: Option<&RmsNorm>) -> Norms {
        Norms {
            kind: self.kind,
            before: before.map(RmsNorm::operand),
            after: after.map(RmsNorm::operand),
        }
    }
}
