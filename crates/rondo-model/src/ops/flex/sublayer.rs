//! A sublayer as one node: attention or the gated MLP with its norms and its residual connection.

use burn::backend::Flex;
use rondo_kernels::attention::{self, Openness, Segments};
use rondo_kernels::feed_forward::{FeedForward, FeedForwardWeights};
use rondo_kernels::matrix::Matrix;
use rondo_kernels::self_attention::{self, AttentionWeights, OverSequences, SelfAttention};
use rondo_kernels::sublayer::{Saved, Sublayer, SublayerTensors};

use crate::ops::graph::Function;
use crate::ops::rope::Angles;

impl Function<Flex, 5> for Sublayer<FeedForward> {
    type Names = Self;
    type Saved = Saved<Vec<f32>>;
    type Aside = ();

    fn forward(
        &self,
        operands: SublayerTensors<Matrix<'_>, FeedForwardWeights<Matrix<'_>>>,
        _: bool,
    ) -> (Vec<f32>, Self::Saved, ()) {
        let (out, saved) = Sublayer::forward(self, &operands);
        (out, saved, ())
    }

    fn backward(
        &self,
        operands: SublayerTensors<Matrix<'_>, FeedForwardWeights<Matrix<'_>>>,
        saved: Self::Saved,
        d_out: Matrix<'_>,
    ) -> SublayerTensors<Vec<f32>, FeedForwardWeights<Vec<f32>>> {
        Sublayer::backward(self, &operands, &saved, d_out)
    }
}

/// Attention over sequences, with the rotary tables and the segments of these sequences.
#[derive(Clone, Debug)]
pub(super) struct AttentionNode {
    pub(super) sublayer: Sublayer<SelfAttention>,
    /// The number of sequences, and the number of tokens in each sequence.
    pub(super) sequences: [usize; 2],
    pub(super) angles: Angles,
    /// The segments of the sequences; `None` if the sequences are not divided.
    pub(super) segments: Option<Segments>,
}

impl AttentionNode {
    fn over_sequences(&self) -> Sublayer<OverSequences<'_>> {
        let Sublayer {
            before,
            branch,
            after,
        } = self.sublayer;
        let branch = OverSequences {
            attention: branch,
            sequences: self.sequences,
            rope: Some(attention::Rope {
                cos: &self.angles.cos,
                sin: &self.angles.sin,
                pairing: self.angles.pairing,
            }),
            segments: self.segments.as_ref(),
        };
        Sublayer {
            before,
            branch,
            after,
        }
    }
}

impl Function<Flex, 9> for AttentionNode {
    type Names = Sublayer<SelfAttention>;
    type Saved = Saved<self_attention::Saved>;
    type Aside = Option<Openness>;

    fn forward(
        &self,
        operands: SublayerTensors<Matrix<'_>, AttentionWeights<Matrix<'_>>>,
        _: bool,
    ) -> (Vec<f32>, Self::Saved, Self::Aside) {
        let (out, saved) = self.over_sequences().forward(&operands);
        let openness = saved.branch().openness().cloned();
        (out, saved, openness)
    }

    fn backward(
        &self,
        operands: SublayerTensors<Matrix<'_>, AttentionWeights<Matrix<'_>>>,
        saved: Self::Saved,
        d_out: Matrix<'_>,
    ) -> SublayerTensors<Vec<f32>, AttentionWeights<Vec<f32>>> {
        self.over_sequences().backward(&operands, &saved, d_out)
    }
}
