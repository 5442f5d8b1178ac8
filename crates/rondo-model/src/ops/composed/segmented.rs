//! Attention within the segments of rows, composed of Burn operations with a mask.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use rondo_kernels::product::Precision;

use super::gated::scores;
use super::repeat_heads;
use crate::ops::{AttentionHeads, Operations, Product};

/// Computes `softmax(q·kᵀ / √d_head) · v` over the visible keys of each query.
///
/// # Shapes
///
/// As [`crate::ops::Operations::attend`]; `visible`, 1 if a query attends to a key and 0 otherwise:
/// `[batch, 1, seq, seq]`.
pub(super) fn segment_attention<O: Operations + ?Sized>(
    ops: &O,
    precision: Precision,
    heads: AttentionHeads,
    visible: Tensor<4>,
) -> Tensor<4> {
    let AttentionHeads {
        queries,
        keys,
        values,
    } = heads;
    let [_, heads, _, _] = queries.dims();
    let scores = scores(ops, precision, queries, repeat_heads(keys, heads));
    let hidden = (visible - 1.0) * 1e30;
    ops.products(
        Product::plain(precision),
        softmax(scores + hidden, 3),
        repeat_heads(values, heads),
    )
}
