//! The gated MLP `W_out(SiLU(a) ⊙ b)`; `a` is the first half of `W_in x`, and `b` is the second
//! half.

use crate::awake::join;
use crate::gated;
use crate::matrix::Matrix;
use crate::memory::Scratch;
use crate::product::{Precision, product_of};
use crate::sublayer::Branch;

/// A gated MLP, without its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedForward {
    /// The precision of both products.
    pub precision: Precision,
}

/// The weights of a gated MLP, or other values in their places.
#[derive(Clone, Copy, Debug)]
pub struct FeedForwardWeights<T> {
    /// The matrix `W_in`, `[d_in, 2·d_ff]`; the columns of `a` come before the columns of `b`.
    pub in_proj: T,
    /// The matrix `W_out`, `[d_ff, d_out]`.
    pub out_proj: T,
}

fn gated(both: &[f32], [rows, d_ff]: [usize; 2]) -> Scratch {
    let mut h = Scratch::of(rows * d_ff);
    gated::forward(both, d_ff, &mut h);
    h
}

impl Branch for FeedForward {
    type Weights<T> = FeedForwardWeights<T>;
    /// The halves `a` and `b`, `[rows, 2·d_ff]`.
    type Saved = Vec<f32>;

    fn forward(
        &self,
        weights: &FeedForwardWeights<Matrix<'_>>,
        x: Matrix<'_>,
    ) -> (Vec<f32>, Self::Saved) {
        let ([rows, _], [d_ff, _]) = (x.shape(), weights.out_proj.shape());
        let both = product_of(x, weights.in_proj, self.precision);
        let h = gated(&both, [rows, d_ff]);
        let h = Matrix::new(&h, rows, d_ff);
        (product_of(h, weights.out_proj, self.precision), both)
    }

    fn backward(
        &self,
        weights: &FeedForwardWeights<Matrix<'_>>,
        x: Matrix<'_>,
        both: &Self::Saved,
        d_y: Matrix<'_>,
    ) -> (Vec<f32>, FeedForwardWeights<Vec<f32>>) {
        let ([rows, _], [d_ff, _]) = (x.shape(), weights.out_proj.shape());
        let mut h = product_of(d_y, weights.out_proj.transposed(), self.precision);
        let mut d_both = Scratch::of(rows * 2 * d_ff);
        gated::backward(both, d_ff, &mut d_both, &mut h);
        let (h, d_both) = (
            Matrix::new(&h, rows, d_ff),
            Matrix::new(&d_both, rows, 2 * d_ff),
        );
        // The products run in parallel, so a thread that finishes its part of one product can work
        // on the other.
        let ((d_in, d_out), d_x) = join(
            || {
                (
                    product_of(x.transposed(), d_both, self.precision),
                    product_of(h.transposed(), d_y, self.precision),
                )
            },
            || product_of(d_both, weights.in_proj.transposed(), self.precision),
        );
        let d_weights = FeedForwardWeights {
            in_proj: d_in,
            out_proj: d_out,
        };
        (d_x, d_weights)
    }
}
