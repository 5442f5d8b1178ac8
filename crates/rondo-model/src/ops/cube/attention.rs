//! Attention without gates, of heads that are apart, as one node: two products with a softmax between them.

use rondo_cube::primitive::Cube;
use rondo_cube::product::{product, transposed};
use rondo_cube::softmax;
use rondo_cube::tensor::CubeTensor;
use rondo_kernels::product::Precision;

use crate::ops::graph::Function;
use crate::ops::operands::Heads;

/// `softmax(q·kᵀ / √d_head) · v`.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct SoftmaxAttention {
    pub(in crate::ops) precision: Precision,
    pub(in crate::ops) is_causal: bool,
}

impl Function<Cube, 3> for SoftmaxAttention {
    type Names = Self;
    /// The weights, `[batch, heads, queries, keys]`.
    type Saved = CubeTensor;
    type Aside = ();

    fn forward(&self, heads: Heads<CubeTensor>, _: bool) -> (CubeTensor, CubeTensor, ()) {
        let factor = factor(&heads.queries);
        let scores = product(heads.queries, transposed(&heads.keys), self.precision);
        let weights = softmax::forward(scores, factor, self.is_causal);
        let attended = product(weights.clone(), heads.values, self.precision);
        (attended, weights, ())
    }

    fn backward(
        &self,
        heads: Heads<CubeTensor>,
        weights: CubeTensor,
        d_out: CubeTensor,
    ) -> Heads<CubeTensor> {
        let Heads {
            queries,
            keys,
            values,
        } = heads;
        let multiply = |a, b| product(a, b, self.precision);
        let factor = factor(&queries);
        let d_weights = multiply(d_out.clone(), transposed(&values));
        let d_scores = softmax::backward(&weights, d_weights, factor, self.is_causal);
        Heads {
            values: multiply(transposed(&weights), d_out),
            keys: multiply(transposed(&d_scores), queries),
            queries: multiply(d_scores, keys),
        }
    }
}

/// Returns what scores are multiplied by, `1 / √d_head`.
fn factor(queries: &CubeTensor) -> f32 {
    let [_, _, _, d_head] = queries.meta.shape().dims();
    (d_head as f32).sqrt().recip()
}
