//! Causal self-attention with a fused query-key-value matrix, rotary positions and grouped heads.
//!
//! The optional QK bias is added to q and k before the rotary embedding; the optional QK norm
//! (root-mean-square, without parameters) follows it.

mod rope;

pub use rope::Rope;

use burn::module::{Module, Param};
use burn::tensor::{Tensor, s};

use crate::config::ModelConfig;
use crate::gates::OpenEdges;
use crate::init::Weights;
use crate::layer::{At, Layer};
use crate::ops::{self, Branch, EdgeGate, Heads, Norms, Precision};
use crate::pass::Shared;

/// What later positions need of earlier ones: rotated keys, and values,
/// `[batch, kv_heads, positions, d_head]` each.
#[derive(Clone, Debug)]
pub struct KeyValues {
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl KeyValues {
    /// Returns the keys and values of these positions and of those that follow.
    fn followed_by(&self, next: Self) -> Self {
        Self {
            keys: Tensor::cat(vec![self.keys.clone(), next.keys], 2),
            values: Tensor::cat(vec![self.values.clone(), next.values], 2),
        }
    }

    /// Returns these positions followed by the last `count` of `other`.
    #[must_use]
    pub fn with_last_of(&self, other: &Self, count: usize) -> Self {
        let [_, _, positions, _] = other.keys.dims();
        let last = positions - count..positions;
        self.followed_by(Self {
            keys: other.keys.clone().slice(s![.., .., last.clone(), ..]),
            values: other.values.clone().slice(s![.., .., last, ..]),
        })
    }
}

/// The gates of a layer.
#[derive(Clone, Copy, Debug)]
struct Gate {
    bias: f64,
    learned: bool,
}

/// One attention layer.
#[derive(Module, Debug)]
pub struct Attention {
    qkv: Param<Tensor<2>>,
    qk_bias: Option<Param<Tensor<2>>>,
    gate_bias: Option<Param<Tensor<1>>>,
    proj: Param<Tensor<2>>,
    #[module(skip)]
    gate: Option<Gate>,
    #[module(skip)]
    shape: Heads,
    #[module(skip)]
    precision: Precision,
}

impl Attention {
    /// Builds the attention of `layer`.
    pub fn new(config: &ModelConfig, layer: Layer, weights: &Weights<'_>) -> Self {
        let name = format!("{}.attention", layer.name());
        let gate = config.gates_of(layer.stack).map(|gates| Gate {
            bias: gates.gate_bias,
            learned: gates.learned_bias,
        });
        Self {
            qkv: weights.get(&format!("{name}.qkv")),
            qk_bias: config
                .qk_bias
                .then(|| weights.get(&format!("{name}.qk_bias"))),
            gate_bias: gate
                .filter(|gate| gate.learned)
                .map(|_| weights.get(&format!("{name}.gate_bias"))),
            proj: weights.get(&format!("{name}.proj")),
            gate,
            shape: Heads {
                queries: config.n_heads,
                keys: config.n_kv_heads,
                d_head: config.d_head(),
                qk_norm_eps: config.qk_norm.then_some(config.norm.eps),
            },
            precision: weights.precision(),
        }
    }

    /// Returns whether it has gates.
    pub fn has_gates(&self) -> bool {
        self.gate.is_some()
    }

    /// Applies the layer with its norms and its residual connection. Also returns what its gates saw,
    /// where it has any.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn sublayer(
        &self,
        x: Tensor<3>,
        norms: Norms,
        pass: Shared<'_>,
        at: At,
    ) -> (Tensor<3>, Option<OpenEdges>) {
        let branch = || Branch::Attention {
            qkv: self.qkv.val(),
            qk_bias: self.qk_bias.as_ref().map(Param::val),
            gate: self.gate.map(|gate| EdgeGate {
                opening: pass.gates.opening_at(at),
                bias: gate.bias,
                learned: self.gate_bias.as_ref().map(Param::val),
                weight: pass.weight,
            }),
            proj: self.proj.val(),
            heads: self.shape,
            angles: pass.rope.angles(),
        };
        let composed = |x| self.forward(&x, pass, at);
        ops::gated_sublayer(x, norms, self.precision, branch, composed)
    }

    /// Attends every position to itself and those before it. Also returns what its gates saw, where it has
    /// any.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn forward(
        &self,
        x: &Tensor<3>,
        pass: Shared<'_>,
        at: At,
    ) -> (Tensor<3>, Option<OpenEdges>) {
        let (queries, own) = self.queries_keys_values(x, pass.rope);
        let (attended, open) = self.attend(queries, own, pass, at);
        (self.join_heads(attended), open)
    }

    /// Attends every query to the keys up to its own, through the gates where there are any.
    fn attend(
        &self,
        queries: Tensor<4>,
        own: KeyValues,
        pass: Shared<'_>,
        at: At,
    ) -> (Tensor<4>, Option<OpenEdges>) {
        let Some(gate) = self.gate else {
            let attended = ops::causal_attention(queries, own.keys, own.values);
            return (attended, None);
        };
        let edges = ops::GatedEdges {
            bias: self.gate_logits(gate),
            opening: pass.gates.opening_at(at),
        };
        let (attended, open) = ops::gated_attention(queries, own.keys, own.values, edges);
        (attended, Some(open))
    }

    /// Returns b and what each head has learned to add, `[1, heads, 1, 1]`.
    fn gate_logits(&self, gate: Gate) -> Tensor<4> {
        let heads = self.shape.queries;
        match &self.gate_bias {
            Some(learned) => learned.val().reshape([1, heads, 1, 1]) + gate.bias,
            None => Tensor::full([1, heads, 1, 1], gate.bias, &self.qkv.val().device()),
        }
    }

    /// Attends new positions to themselves and to those of `past`. Also returns the keys and values of all
    /// of them; what its gates saw is left out.
    ///
    /// # Shapes
    ///
    /// `x`: `[batch, new, d_model]` to the same; `pass` starts at the first new position.
    ///
    /// # Panics
    ///
    /// Panics where several new positions follow a past: no caller has a use for them.
    pub fn forward_after(
        &self,
        x: &Tensor<3>,
        pass: Shared<'_>,
        at: At,
        past: Option<&KeyValues>,
    ) -> (Tensor<3>, KeyValues) {
        let (queries, own) = self.queries_keys_values(x, pass.rope);
        let Some(past) = past else {
            let (attended, _) = self.attend(queries, own.clone(), pass, at);
            return (self.join_heads(attended), own);
        };
        let [_, _, new, _] = queries.dims();
        assert_eq!(new, 1, "one position at a time follows a past");
        let all = past.followed_by(own);
        let (keys, values) = (all.keys.clone(), all.values.clone());
        let attended = match self.gate {
            None => ops::attention_to_all(queries, keys, values),
            Some(gate) => {
                ops::gated_attention_to_all(queries, keys, values, self.gate_logits(gate))
            }
        };
        (self.join_heads(attended), all)
    }

    /// Returns rotated queries, and rotated keys with their values.
    fn queries_keys_values(&self, x: &Tensor<3>, rope: &Rope) -> (Tensor<4>, KeyValues) {
        let [batch, seq, _] = x.dims();
        let Heads {
            queries,
            keys,
            d_head,
            qk_norm_eps,
        } = self.shape;
        let qkv = self.qkv.val();
        let heads = |first: usize, count: usize| {
            let columns = first * d_head..(first + count) * d_head;
            ops::project_columns(x.clone(), qkv.clone(), columns)
                .reshape([batch, seq, count, d_head])
        };
        let rotated = |first: usize, count: usize| {
            let mut part = heads(first, count);
            if let Some(bias) = &self.qk_bias {
                part = part + bias.val().slice(s![first..first + count, ..]).unsqueeze();
            }
            part = rope.rotate(part);
            if let Some(eps) = qk_norm_eps {
                let rows = part.reshape([batch, seq * count, d_head]);
                part = ops::rms_norm(rows, None, eps).reshape([batch, seq, count, d_head]);
            }
            part.swap_dims(1, 2)
        };
        let own = KeyValues {
            keys: rotated(queries, keys),
            values: heads(queries + keys, keys).swap_dims(1, 2),
        };
        (rotated(0, queries), own)
    }

    /// Puts the heads side by side and projects them.
    fn join_heads(&self, attended: Tensor<4>) -> Tensor<3> {
        let [batch, heads, seq, d_head] = attended.dims();
        let joined = attended
            .swap_dims(1, 2)
            .reshape([batch, seq, heads * d_head]);
        ops::project(joined, self.proj.val())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::pass::Pass;

    #[test]
    fn queries_of_zero_average_the_values_up_to_their_own() {
        let device = Device::flex();
        let config = ModelConfig {
            vocab_size: 2,
            d_model: 2,
            n_heads: 1,
            n_kv_heads: 1,
            ..ModelConfig::default()
        };
        let values = Tensor::<2>::eye(2, &device);
        let nothing = Tensor::<2>::zeros([2, 4], &device);
        let attention = Attention {
            qkv: Param::from_tensor(Tensor::cat(vec![nothing, values.clone()], 1)),
            qk_bias: None,
            gate_bias: None,
            proj: Param::from_tensor(values),
            gate: None,
            shape: Heads {
                queries: 1,
                keys: 1,
                d_head: 2,
                qk_norm_eps: None,
            },
            precision: Precision::F32,
        };
        let x = Tensor::from_data([[[8.0, 0.0], [0.0, 4.0], [1.0, 2.0]]], &device);
        let pass = Pass::new(&config, 3, &device);
        let (y, open) = attention.forward(&x, pass.shared(), At::Prelude { layer: 0 });
        assert!(open.is_none(), "there are no gates");
        let y: Vec<f32> = y.into_data().iter().collect();
        assert_eq!(y, [8.0, 0.0, 4.0, 2.0, 3.0, 2.0]);
    }
}
