//! Self-attention with separate heads.

use burn::tensor::module::attention as attention_module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Tensor, s};
use rondo_kernels::attention::{Gate, NormedOver, QkNorm};
use rondo_kernels::product::Precision;
use rondo_kernels::self_attention::{AttentionWeights, Heads, SelfAttention};

use super::gated::{gated_attention, gated_attention_to_all};
use super::projection::{project, project_columns};
use super::segmented::segment_attention;
use crate::gates::OpenEdges;
use crate::ops::{AttentionHeads, Operations, Rope};

type Weights = AttentionWeights<Tensor<2>, Tensor<1>>;

/// Computes causal self-attention without norms and residual connection. A token attends within its
/// row, or within its segment if rows are divided. Also returns the open edges, if there are gates.
///
/// # Shapes
///
/// `x`: `[batch, seq, d_model]` to the same.
///
/// # Panics
///
/// Panics if there are gates and rows are divided into segments.
pub(crate) fn attention<O: Operations + ?Sized>(
    ops: &O,
    attention: &SelfAttention,
    weights: Weights,
    rope: &Rope,
    x: &Tensor<3>,
) -> (Tensor<3>, Option<OpenEdges>) {
    let heads = AttentionHeads::of(ops, attention, &weights, rope, x);
    heads.attend(ops, attention, weights, rope)
}

impl AttentionHeads {
    /// Returns rotated queries, rotated keys, and values.
    pub(crate) fn of<O: Operations + ?Sized>(
        ops: &O,
        attention: &SelfAttention,
        weights: &Weights,
        rope: &Rope,
        x: &Tensor<3>,
    ) -> Self {
        let [batch, seq, _] = x.dims();
        let Heads {
            queries,
            keys,
            d_head,
        } = attention.heads;
        let heads = |first: usize, count: usize| {
            let columns = first * d_head..(first + count) * d_head;
            project_columns(
                ops,
                attention.precision,
                x.clone(),
                weights.qkv.clone(),
                columns,
            )
            .reshape([batch, seq, count, d_head])
        };
        let biased = |part: Tensor<4>, first: usize| match &weights.qk_bias {
            Some(bias) if bias.dims()[0] > first => {
                let [_, _, count, _] = part.dims();
                part + bias.clone().slice(s![first..first + count, ..]).unsqueeze()
            }
            _ => part,
        };
        let prepared = |first: usize, count: usize, scale: Option<&Tensor<1>>| {
            let normed = |norm: QkNorm, part: Tensor<4>| {
                let width = match norm.over {
                    NormedOver::RotatedHeads | NormedOver::Heads => d_head,
                    NormedOver::Width => count * d_head,
                };
                let rows = part.reshape([batch, seq * count * d_head / width, width]);
                ops.norm(norm.norm, rows, scale.cloned())
                    .reshape([batch, seq, count, d_head])
            };
            let part = biased(heads(first, count), first);
            let part = match attention.qk_norm {
                None => rope.rotate(part),
                Some(norm) if norm.over == NormedOver::RotatedHeads => {
                    normed(norm, rope.rotate(part))
                }
                Some(norm) => rope.rotate(normed(norm, part)),
            };
            part.swap_dims(1, 2)
        };
        // The order of these products determines the order in which the gradients of `x` are added.
        let (keys, values) = (
            prepared(queries, keys, weights.k_norm.as_ref()),
            biased(heads(queries + keys, keys), queries + keys).swap_dims(1, 2),
        );
        Self {
            queries: prepared(0, queries, weights.q_norm.as_ref()),
            keys,
            values,
        }
    }

    /// Computes causal attention, with gates if there are any. If `rope` divides rows into
    /// segments, a query attends only within its segment. Joins the heads side by side and returns
    /// their projection. Also returns the open edges, if there are gates.
    ///
    /// # Panics
    ///
    /// As [`attention`].
    pub(crate) fn attend<O: Operations + ?Sized>(
        self,
        ops: &O,
        attention: &SelfAttention,
        weights: Weights,
        rope: &Rope,
    ) -> (Tensor<3>, Option<OpenEdges>) {
        let precision = attention.precision;
        let (attended, open) = match rope.visible() {
            None => ops.attend(precision, attention.gate, self, weights.gate_bias),
            Some(visible) => {
                assert!(attention.gate.is_none(), "gates see whole rows");
                (segment_attention(ops, precision, self, visible), None)
            }
        };
        (join_heads(ops, precision, attended, weights.proj), open)
    }

    /// Like [`Self::attend`], but every query attends to every key, and gates open by threshold.
    pub(crate) fn attend_to_all<O: Operations + ?Sized>(
        self,
        ops: &O,
        attention: &SelfAttention,
        weights: Weights,
    ) -> Tensor<3> {
        let precision = attention.precision;
        let attended = match attention.gate {
            None => ops.softmax_attention(precision, self, false),
            Some(gate) => {
                let bias = gate_logits(gate, weights.gate_bias, &self.queries);
                gated_attention_to_all(ops, precision, self, bias)
            }
        };
        join_heads(ops, precision, attended, weights.proj)
    }
}

/// See [`Operations::attend`].
pub(crate) fn attend<O: Operations + ?Sized>(
    ops: &O,
    precision: Precision,
    gate: Option<Gate>,
    heads: AttentionHeads,
    gate_bias: Option<Tensor<1>>,
) -> (Tensor<4>, Option<OpenEdges>) {
    let Some(gate) = gate else {
        return (ops.softmax_attention(precision, heads, true), None);
    };
    let bias = gate_logits(gate, gate_bias, &heads.queries);
    let (attended, open) = gated_attention(ops, precision, heads, gate.opening, bias);
    (attended, Some(open))
}

/// See [`Operations::softmax_attention`]; uses Burn's attention module.
pub(crate) fn softmax_attention(heads: AttentionHeads, is_causal: bool) -> Tensor<4> {
    let AttentionHeads {
        queries,
        keys,
        values,
    } = heads;
    let [_, count, _, _] = queries.dims();
    let options = AttentionModuleOptions {
        is_causal,
        ..AttentionModuleOptions::default()
    };
    let (keys, values) = (repeat_heads(keys, count), repeat_heads(values, count));
    attention_module(queries, keys, values, None, None, options)
}

/// Returns the bias of the gates of each head, `[1, heads, 1, 1]`. This is the bias of `gate`, plus
/// the learned number of the head if there is one.
fn gate_logits(gate: Gate, learned: Option<Tensor<1>>, queries: &Tensor<4>) -> Tensor<4> {
    let [_, heads, _, _] = queries.dims();
    match learned {
        Some(learned) => learned.reshape([1, heads, 1, 1]) + gate.bias,
        None => Tensor::full([1, heads, 1, 1], gate.bias, &queries.device()),
    }
}

/// Joins the heads side by side and projects the result.
fn join_heads<O: Operations + ?Sized>(
    ops: &O,
    precision: Precision,
    attended: Tensor<4>,
    proj: Tensor<2>,
) -> Tensor<3> {
    let [batch, heads, seq, d_head] = attended.dims();
    let joined = attended
        .swap_dims(1, 2)
        .reshape([batch, seq, heads * d_head]);
    project(ops, precision, joined, proj)
}

/// Repeats each key or value head for all query heads of its group.
pub(crate) fn repeat_heads(x: Tensor<4>, heads: usize) -> Tensor<4> {
    let [batch, kv_heads, seq, d_head] = x.dims();
    if kv_heads == heads {
        return x;
    }
    let group = heads / kv_heads;
    let grouped: Tensor<5> = x.unsqueeze_dim(2);
    grouped
        .expand([batch, kv_heads, group, seq, d_head])
        .reshape([batch, heads, seq, d_head])
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::ops::Backend;

    fn values(x: Tensor<4>) -> Vec<f32> {
        x.into_data().iter().collect()
    }

    #[test]
    fn the_first_position_attends_to_itself_alone() {
        let device = Device::flex();
        let queries = Tensor::<4>::from_data([[[[1.0, 0.0], [0.0, 1.0]]]], &device);
        let heads = AttentionHeads {
            keys: queries.clone(),
            queries,
            values: Tensor::<4>::from_data([[[[5.0, 6.0], [7.0, 8.0]]]], &device),
        };
        let ops = Backend::Composed.operations();
        let y = values(ops.attend(Precision::F32, None, heads, None).0);
        assert_eq!(&y[..2], [5.0, 6.0]);
        assert!(y[2] > 5.0 && y[2] < 7.0);
    }

    #[test]
    fn grouped_heads_share_their_key_and_value_head() {
        let device = Device::flex();
        let kv = Tensor::<4>::from_data(TensorData::new(vec![1.0_f32, 2.0], [1, 2, 1, 1]), &device);
        assert_eq!(values(repeat_heads(kv, 4)), [1.0, 1.0, 2.0, 2.0]);
    }
}
