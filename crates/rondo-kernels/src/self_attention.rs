//! Causal self-attention as a branch of a layer: the packed projection, attention, and the output
//! projection.

use crate::attention::{
    self, Gate, Known, Openness, Preparation, PreparationGradients, QkNorm, QkScales, Rope,
    Segments, Shape,
};
use crate::awake::join;
use crate::matrix::Matrix;
use crate::memory::Scratch;
use crate::product::{Precision, product_of};
use crate::sublayer::Branch;

/// The branch `Attention(prepare(x · qkv)) · proj`, without its tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SelfAttention {
    /// The number and the size of the heads.
    pub heads: Heads,
    /// The norm of queries and keys; `None` if they are not normed.
    pub qk_norm: Option<QkNorm>,
    /// The gates on the edges; `None` if every edge is open.
    pub gate: Option<Gate>,
    /// The precision of the projections; attention itself is computed in f32.
    pub precision: Precision,
}

/// The number and the size of the heads of attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// The number of query heads.
    pub queries: usize,
    /// The number of key heads, which is also the number of value heads; a divisor of `queries`.
    pub keys: usize,
    /// The number of elements of a head.
    pub d_head: usize,
}

/// The weights of attention, or other values in their places: `M` in the place of matrices, `V` in
/// the place of vectors.
#[derive(Clone, Copy, Debug)]
pub struct AttentionWeights<M, V = M> {
    /// The packed projection, `[d_model, (queries + 2·keys)·d_head]`.
    pub qkv: M,
    /// The bias of queries and keys, `[queries + keys, d_head]`. With the shape
    /// `[queries + 2·keys, d_head]` it also covers the values.
    pub qk_bias: Option<M>,
    /// The scale of the norm of queries, `[d_head]` or `[queries·d_head]`; `None` if the norm has
    /// no scale.
    pub q_norm: Option<V>,
    /// The scale of the norm of keys, `[d_head]` or `[keys·d_head]`; `None` if the norm has no
    /// scale.
    pub k_norm: Option<V>,
    /// For each head, a learned number that is added to the bias of the head's gates, `[queries]`.
    pub gate_bias: Option<V>,
    /// The output projection, `[queries·d_head, d_model]`.
    pub proj: M,
}

/// Attention over sequences of equal length.
#[derive(Clone, Copy, Debug)]
pub struct OverSequences<'a> {
    /// The description of the attention.
    pub attention: SelfAttention,
    /// The number of sequences, and the number of tokens in each.
    pub sequences: [usize; 2],
    /// The rotary embedding of queries and keys.
    pub rope: Option<Rope<'a>>,
    /// The segments of the sequences; a token attends only within its segment. Must be `None` if
    /// there are gates.
    pub segments: Option<&'a Segments>,
}

impl<'a> OverSequences<'a> {
    fn shape(&self) -> Shape {
        let ([batch, seq], heads) = (self.sequences, self.attention.heads);
        Shape {
            batch,
            seq,
            heads: heads.queries,
            kv_heads: heads.keys,
            d_head: heads.d_head,
        }
    }

    fn preparation(&self, weights: &AttentionWeights<Matrix<'a>>) -> Preparation<'a> {
        Preparation {
            bias: weights.qk_bias.map(|bias| bias.elements()),
            rope: self.rope,
            segments: self.segments,
            norm: self.attention.qk_norm,
            scales: weights
                .q_norm
                .zip(weights.k_norm)
                .map(|(queries, keys)| QkScales {
                    queries: queries.elements(),
                    keys: keys.elements(),
                }),
        }
    }
}

/// The data that the backward pass of attention needs.
#[derive(Clone, Debug)]
pub struct Saved {
    qkv: Vec<f32>,
    /// The data that the norm of queries and keys stores for the backward pass.
    kept: Vec<f32>,
    attended: Vec<f32>,
    lse: Vec<f32>,
    openness: Option<Openness>,
}

impl Saved {
    /// Returns how open the gates were; `None` if there are no gates.
    pub fn openness(&self) -> Option<&Openness> {
        self.openness.as_ref()
    }
}

impl Branch for OverSequences<'_> {
    type Weights<T> = AttentionWeights<T>;
    type Saved = Saved;

    fn forward(&self, weights: &AttentionWeights<Matrix<'_>>, x: Matrix<'_>) -> (Vec<f32>, Saved) {
        let (shape, precision) = (self.shape(), self.attention.precision);
        let preparation = self.preparation(weights);
        let mut saved = Saved {
            qkv: product_of(x, weights.qkv, precision),
            kept: vec![0.0; shape.rows() * preparation.kept_width(shape)],
            attended: vec![0.0; shape.rows() * shape.attended_width()],
            lse: vec![0.0; shape.lse_len()],
            openness: None,
        };
        attention::prepare(shape, preparation, &mut saved.qkv, &mut saved.kept);
        let (qkv, attended, lse) = (&saved.qkv, &mut saved.attended, &mut saved.lse);
        match self.attention.gate {
            None => attention::forward(shape, self.segments, qkv, attended, lse),
            Some(gate) => {
                assert!(self.segments.is_none(), "gates see whole sequences");
                let bias = weights.gate_bias.map(|bias| bias.elements());
                let openness = attention::forward_gated(shape, gate, bias, qkv, attended, lse);
                saved.openness = Some(openness);
            }
        }
        let attended = Matrix::new(&saved.attended, shape.rows(), shape.attended_width());
        (product_of(attended, weights.proj, precision), saved)
    }

    fn backward(
        &self,
        weights: &AttentionWeights<Matrix<'_>>,
        x: Matrix<'_>,
        saved: &Saved,
        d_y: Matrix<'_>,
    ) -> (Vec<f32>, AttentionWeights<Vec<f32>>) {
        let (shape, precision) = (self.shape(), self.attention.precision);
        let attended = Matrix::new(&saved.attended, shape.rows(), shape.attended_width());
        let (d_proj, d_attended) = join(
            || product_of(attended.transposed(), d_y, precision),
            || product_of(d_y, weights.proj.transposed(), precision),
        );
        let mut d_qkv = Scratch::of(saved.qkv.len());
        let known = Known {
            qkv: &saved.qkv,
            attended: &saved.attended,
            lse: &saved.lse,
            d_attended: &d_attended,
        };
        let d_gates = match self.attention.gate {
            None => {
                attention::backward(shape, self.segments, known, &mut d_qkv);
                None
            }
            Some(gate) => {
                let bias = weights.gate_bias.map(|bias| bias.elements());
                let d_gates = attention::backward_gated(shape, gate, bias, known, &mut d_qkv);
                bias.map(|_| d_gates)
            }
        };
        let PreparationGradients {
            bias: d_bias,
            query_scale,
            key_scale,
        } = attention::prepare_backward(
            shape,
            self.preparation(weights),
            &saved.qkv,
            &saved.kept,
            &mut d_qkv,
        );
        let d_qkv = Matrix::new(&d_qkv, shape.rows(), shape.qkv_width());
        // The products run in parallel, so a thread that finishes its part of one product can work
        // on the other.
        let (d_weight, d_x) = join(
            || product_of(x.transposed(), d_qkv, precision),
            || product_of(d_qkv, weights.qkv.transposed(), precision),
        );
        let d_weights = AttentionWeights {
            qkv: d_weight,
            qk_bias: d_bias,
            q_norm: query_scale,
            k_norm: key_scale,
            gate_bias: d_gates,
            proj: d_proj,
        };
        (d_x, d_weights)
    }
}
