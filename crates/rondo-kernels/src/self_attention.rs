//! Causal self-attention as a branch: the packed projection, attention, the projection after it.

use crate::attention::{self, Gate, Known, Openness, Preparation, Shape};
use crate::matrix::Matrix;
use crate::memory::Scratch;
use crate::product::{Precision, product_of};
use crate::sublayer::{Branch, Gradients};

/// `Attention(prepare(x · qkv)) · proj`.
#[derive(Clone, Copy, Debug)]
pub struct SelfAttention<'a> {
    /// Sequences and heads.
    pub shape: Shape,
    /// `[d_model, (heads + 2·kv_heads)·d_head]`.
    pub qkv: Matrix<'a>,
    /// What happens to queries and keys before they meet.
    pub preparation: Preparation<'a>,
    /// The gates on the edges, where there are any.
    pub gate: Option<Gate<'a>>,
    /// `[heads·d_head, d_model]`.
    pub proj: Matrix<'a>,
    /// Of the projections; attention itself is f32.
    pub precision: Precision,
}

/// What the backward pass of attention needs.
#[derive(Clone, Debug)]
pub struct Saved {
    qkv: Vec<f32>,
    inverse_rms: Vec<f32>,
    attended: Vec<f32>,
    lse: Vec<f32>,
    openness: Option<Openness>,
}

impl Saved {
    /// Returns how open the gates were, where there are any.
    pub fn openness(&self) -> Option<&Openness> {
        self.openness.as_ref()
    }
}

impl Branch for SelfAttention<'_> {
    type Saved = Saved;

    fn forward(&self, x: Matrix<'_>) -> (Vec<f32>, Saved) {
        let shape = self.shape;
        let mut saved = Saved {
            qkv: product_of(x, self.qkv, self.precision),
            inverse_rms: vec![0.0; self.preparation.inverse_rms_len(shape)],
            attended: vec![0.0; shape.rows() * shape.attended_width()],
            lse: vec![0.0; shape.lse_len()],
            openness: None,
        };
        attention::prepare(
            shape,
            self.preparation,
            &mut saved.qkv,
            &mut saved.inverse_rms,
        );
        let (qkv, attended, lse) = (&saved.qkv, &mut saved.attended, &mut saved.lse);
        match self.gate {
            None => attention::forward(shape, qkv, attended, lse),
            Some(gate) => {
                let openness = attention::forward_gated(shape, gate, qkv, attended, lse);
                saved.openness = Some(openness);
            }
        }
        let attended = Matrix::new(&saved.attended, shape.rows(), shape.attended_width());
        (product_of(attended, self.proj, self.precision), saved)
    }

    /// The weights are `qkv`, the bias of queries and keys where there is one, that of the gates of each
    /// head where it is learned, `proj`.
    fn backward(&self, x: Matrix<'_>, saved: &Saved, d_y: Matrix<'_>) -> Gradients {
        let shape = self.shape;
        let attended = Matrix::new(&saved.attended, shape.rows(), shape.attended_width());
        let (d_proj, d_attended) = rayon::join(
            || product_of(attended.transposed(), d_y, self.precision),
            || product_of(d_y, self.proj.transposed(), self.precision),
        );
        let mut d_qkv = Scratch::of(saved.qkv.len());
        let known = Known {
            qkv: &saved.qkv,
            attended: &saved.attended,
            lse: &saved.lse,
            d_attended: &d_attended,
        };
        let d_gates = match self.gate {
            None => {
                attention::backward(shape, known, &mut d_qkv);
                None
            }
            Some(gate) => {
                let d_gates = attention::backward_gated(shape, gate, known, &mut d_qkv);
                gate.head_bias.map(|_| d_gates)
            }
        };
        let d_bias = attention::prepare_backward(
            shape,
            self.preparation,
            &saved.qkv,
            &saved.inverse_rms,
            &mut d_qkv,
        );
        let d_qkv = Matrix::new(&d_qkv, shape.rows(), shape.qkv_width());
        // Side by side, so that the threads of one product need not wait for each other.
        let (d_weight, input) = rayon::join(
            || product_of(x.transposed(), d_qkv, self.precision),
            || product_of(d_qkv, self.qkv.transposed(), self.precision),
        );
        Gradients {
            input,
            weights: [d_weight]
                .into_iter()
                .chain(d_bias)
                .chain(d_gates)
                .chain([d_proj])
                .collect(),
        }
    }
}
