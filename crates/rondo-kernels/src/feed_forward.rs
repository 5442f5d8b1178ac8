//! The gated MLP `W_out(SiLU(a) ⊙ b)`, a and b the halves of `W_in x`.

use crate::gated;
use crate::matrix::Matrix;
use crate::memory::Scratch;
use crate::product::{Precision, product_of};
use crate::sublayer::{Branch, Gradients};

/// A gated MLP.
#[derive(Clone, Copy, Debug)]
pub struct FeedForward<'a> {
    /// `[d_in, 2·d_ff]`, the columns of a before those of b.
    pub in_proj: Matrix<'a>,
    /// `[d_ff, d_out]`.
    pub out_proj: Matrix<'a>,
    /// Of both matrices' products.
    pub precision: Precision,
}

impl FeedForward<'_> {
    fn d_ff(&self) -> usize {
        self.out_proj.shape()[0]
    }

    fn gated(&self, both: &[f32], rows: usize) -> Scratch {
        let d_ff = self.d_ff();
        let mut h = Scratch::of(rows * d_ff);
        gated::forward(both, d_ff, &mut h);
        h
    }
}

impl Branch for FeedForward<'_> {
    /// a and b, `[rows, 2·d_ff]`.
    type Saved = Vec<f32>;

    fn forward(&self, x: Matrix<'_>) -> (Vec<f32>, Self::Saved) {
        let [rows, _] = x.shape();
        let both = product_of(x, self.in_proj, self.precision);
        let h = self.gated(&both, rows);
        let h = Matrix::new(&h, rows, self.d_ff());
        (product_of(h, self.out_proj, self.precision), both)
    }

    fn backward(&self, x: Matrix<'_>, both: &Self::Saved, d_y: Matrix<'_>) -> Gradients {
        let ([rows, _], d_ff) = (x.shape(), self.d_ff());
        let mut h = product_of(d_y, self.out_proj.transposed(), self.precision);
        let mut d_both = Scratch::of(rows * 2 * d_ff);
        gated::backward(both, d_ff, &mut d_both, &mut h);
        let (h, d_both) = (
            Matrix::new(&h, rows, d_ff),
            Matrix::new(&d_both, rows, 2 * d_ff),
        );
        // Side by side, so that the threads of one product need not wait for each other.
        let ((d_in, d_out), input) = rayon::join(
            || {
                (
                    product_of(x.transposed(), d_both, self.precision),
                    product_of(h.transposed(), d_y, self.precision),
                )
            },
            || product_of(d_both, self.in_proj.transposed(), self.precision),
        );
        Gradients {
            input,
            weights: vec![d_in, d_out],
        }
    }
}
