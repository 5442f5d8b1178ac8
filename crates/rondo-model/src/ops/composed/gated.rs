//! Attention with gates on its edges, composed of Burn operations.

use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rondo_kernels::attention::{MULTIPLIERS, Opening, row_keys};
use rondo_kernels::product::Precision;

use super::repeat_heads;
use crate::gates::OpenEdges;
use crate::ops::{AttentionHeads, Operations, Product};

/// Computes causal attention with gates: `Σ_j softmax(a)_ij · A_ij · v_j` with
/// `a = q·kᵀ / √d_head`. A is 1 for open edges and 0 for others. The straight-through gradient of A
/// is the gradient of σ(g + ℓ), where g is the logit of the gate of an edge and ℓ its noise.
/// `rondo_kernels::attention` defines the gates and draws the same noise. Also returns the open
/// edges.
///
/// # Shapes
///
/// As [`crate::ops::Operations::attend`]; `bias`, the difference between the logit of an edge's
/// gate and the edge's score: `[1, heads, 1, 1]`.
pub(super) fn gated_attention<O: Operations + ?Sized>(
    ops: &O,
    precision: Precision,
    heads: AttentionHeads,
    opening: Opening,
    bias: Tensor<4>,
) -> (Tensor<4>, OpenEdges) {
    let AttentionHeads {
        queries,
        keys,
        values,
    } = heads;
    let [batch, heads, seq, _] = queries.dims();
    let device = queries.device();
    let scores = scores(ops, precision, queries, repeat_heads(keys, heads));
    let causal = lower_triangle(seq, &device);
    let hidden = (causal.clone() - 1.0) * 1e30;
    let weights = softmax(scores.clone() + hidden, 3);
    let logits = scores + bias;
    let hard = logits.clone().detach().greater_elem(0.0).float();
    let (drawn_logits, open) = match opening {
        Opening::Threshold => (logits.clone(), hard.clone()),
        Opening::Drawn { key } => {
            let u = uniform(key, [batch, heads, seq], &device);
            // The edge is open if g + ℓ > 0. The equivalent u > (1 − u)·exp(−g) is exact even if ℓ
            // is large.
            let against = (-logits.clone().detach()).exp() * (-u.clone() + 1.0);
            let open = u.clone().greater(against).float();
            let noise = u.clone().log() - (-u + 1.0).log();
            (logits.clone() + noise, open)
        }
    };
    let soft = sigmoid(drawn_logits);
    let straight = soft.clone() + (open - soft.detach());
    let count = (batch * heads * seq * (seq + 1) / 2) as f64;
    let mean = |x: Tensor<4>| (x * causal.clone()).sum() / count;
    let open_weights = weights * straight;
    let plain = Product::plain(precision);
    let attended = ops.products(plain, open_weights, repeat_heads(values, heads));
    let open = OpenEdges::Composed {
        expected: Box::new(mean(sigmoid(logits))),
        hard: Box::new(mean(hard)),
    };
    (attended, open)
}

/// Computes attention of every query to every key, with gates that open by threshold.
///
/// # Shapes
///
/// As [`gated_attention`], for any number of queries.
pub(super) fn gated_attention_to_all<O: Operations + ?Sized>(
    ops: &O,
    precision: Precision,
    heads: AttentionHeads,
    bias: Tensor<4>,
) -> Tensor<4> {
    let AttentionHeads {
        queries,
        keys,
        values,
    } = heads;
    let [_, heads, _, _] = queries.dims();
    let scores = scores(ops, precision, queries, repeat_heads(keys, heads));
    let open = (scores.clone() + bias).greater_elem(0.0).float();
    let weights = softmax(scores, 3) * open;
    ops.products(
        Product::plain(precision),
        weights,
        repeat_heads(values, heads),
    )
}

/// Returns `q·kᵀ / √d_head`.
pub(super) fn scores<O: Operations + ?Sized>(
    ops: &O,
    precision: Precision,
    q: Tensor<4>,
    k: Tensor<4>,
) -> Tensor<4> {
    let [_, _, _, d_head] = q.dims();
    ops.products(Product::with_transposed(precision), q, k) / (d_head as f64).sqrt()
}

/// Returns 1 on and below the diagonal, 0 above, `[1, 1, seq, seq]`.
fn lower_triangle(seq: usize, device: &Device) -> Tensor<4> {
    let entries = (0..seq).flat_map(|i| (0..seq).map(move |j| if j <= i { 1.0 } else { 0.0 }));
    let values: Vec<f32> = entries.collect();
    Tensor::from_data(TensorData::new(values, [1, 1, seq, seq]), device)
}

/// Draws the uniform number of every edge on the device, `[batch, heads, seq, seq]`. The numbers
/// are bitwise equal to those of `rondo_kernels::attention::noise`, for any integer type of the
/// device.
fn uniform(key: u64, [batch, heads, seq]: [usize; 3], device: &Device) -> Tensor<4> {
    let keys = row_keys(key, [batch, heads, seq]);
    let rows = |words: Vec<u32>| -> Tensor<4, Int> {
        let words: Vec<i32> = words.into_iter().map(u32::cast_signed).collect();
        Tensor::from_data(TensorData::new(words, [batch, heads, 1, seq]), device)
    };
    let queries: Tensor<4, Int> = Tensor::arange(0..seq as i64, device).reshape([1, 1, seq, 1]);
    let [first, second] = MULTIPLIERS.map(|word| i64::from(word.cast_signed()));
    // Shifts of signed or wider integers add high bits that a 32-bit word does not have; the mask
    // removes them.
    let shifted = |x: &Tensor<4, Int>, by: u32| {
        x.clone()
            .bitwise_right_shift_scalar(by)
            .bitwise_and_scalar(u32::MAX >> by)
    };
    let mixed = |x: Tensor<4, Int>, by| x.clone().bitwise_xor(shifted(&x, by));
    let x = mixed(queries.bitwise_xor(rows(keys.before)), 16) * first;
    let x = mixed(x.bitwise_xor(rows(keys.between)), 15) * second;
    let steps = shifted(&mixed(x, 15), 9).float();
    (steps + 0.5) / 8_388_608.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondo_kernels::attention::uniform_at;

    #[test]
    fn the_devices_noise_is_the_kernels() {
        let [batch, heads, seq] = [2, 3, 37];
        let found: Vec<f32> = uniform(77, [batch, heads, seq], &Device::flex())
            .into_data()
            .iter()
            .collect();
        let mut found = found.into_iter();
        for sequence in 0..batch {
            for head in 0..heads {
                for query in 0..seq {
                    for key in 0..seq {
                        let expected = uniform_at(77, [sequence, head, query, key]);
                        let found = found.next().expect("a number for each edge");
                        assert_eq!(
                            found.to_bits(),
                            expected.to_bits(),
                            "{sequence} {head} {query} {key}"
                        );
                    }
                }
            }
        }
    }
}
