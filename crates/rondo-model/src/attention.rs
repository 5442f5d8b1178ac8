//! Causal self-attention with a fused query-key-value matrix, rotary positions and grouped heads.
//!
//! The optional QK bias is added to q and k before the rotary embedding; the optional QK norm
//! (root-mean-square, without parameters) follows it.

use std::ops::Range;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, s};

use crate::config::ModelConfig;
use crate::init::Weights;
use crate::ops::{self, Angles, Branch, Heads, Norms, Precision};

/// Cosines and sines of the rotary embedding (Su et al. 2021, arXiv 2104.09864):
/// angle(pos, j) = pos · base^(−2j / d_head), computed in f32; on the device laid out for
/// [`ops::rotate_pairs`], `[seq, d_head]` each.
#[derive(Clone, Debug)]
pub struct Rope {
    cos: Tensor<2>,
    sin: Tensor<2>,
    host: Angles,
}

impl Rope {
    /// Computes the tables of positions `0..seq`.
    pub fn new(config: &ModelConfig, seq: usize, device: &Device) -> Self {
        let d_head = config.d_head();
        let pairs = d_head / 2;
        let angle = |i: usize| {
            let (position, pair) = (i / pairs, i % pairs);
            let exponent = (2 * pair) as f32 / d_head as f32;
            position as f32 / (config.rope_base as f32).powf(exponent)
        };
        let host = Angles {
            cos: (0..seq * pairs).map(|i| angle(i).cos()).collect(),
            sin: (0..seq * pairs).map(|i| angle(i).sin()).collect(),
        };
        let doubled = |values: &[f32], signs: [f32; 2]| {
            let both = values.iter().flat_map(|x| signs.map(|sign| sign * x));
            let values: Vec<f32> = both.collect();
            Tensor::from_data(TensorData::new(values, [seq, d_head]), device)
        };
        Self {
            cos: doubled(&host.cos, [1.0, 1.0]),
            sin: doubled(&host.sin, [-1.0, 1.0]),
            host,
        }
    }

    /// Returns the tables of the positions `range`.
    #[must_use]
    pub fn positions(&self, range: Range<usize>) -> Self {
        let [seq, d_head] = self.cos.dims();
        let pairs = d_head / 2;
        let part = |values: &Arc<[f32]>| {
            if range == (0..seq) {
                return Arc::clone(values);
            }
            Arc::from(&values[range.start * pairs..range.end * pairs])
        };
        Self {
            cos: self.cos.clone().slice(s![range.clone(), ..]),
            sin: self.sin.clone().slice(s![range.clone(), ..]),
            host: Angles {
                cos: part(&self.host.cos),
                sin: part(&self.host.sin),
            },
        }
    }

    /// Rotates queries or keys.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, heads, d_head]` to the same.
    fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        ops::rotate_pairs(x, self.cos.clone(), self.sin.clone())
    }
}

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

/// One attention layer.
#[derive(Module, Debug)]
pub struct Attention {
    qkv: Param<Tensor<2>>,
    qk_bias: Option<Param<Tensor<2>>>,
    proj: Param<Tensor<2>>,
    #[module(skip)]
    shape: Heads,
    #[module(skip)]
    precision: Precision,
}

impl Attention {
    /// Builds the layer at path `name`.
    pub fn new(config: &ModelConfig, name: &str, weights: &Weights<'_>) -> Self {
        Self {
            qkv: weights.get(&format!("{name}.qkv")),
            qk_bias: config
                .qk_bias
                .then(|| weights.get(&format!("{name}.qk_bias"))),
            proj: weights.get(&format!("{name}.proj")),
            shape: Heads {
                queries: config.n_heads,
                keys: config.kv_heads(),
                d_head: config.d_head(),
                qk_norm_eps: config.qk_norm.then_some(config.norm.eps),
            },
            precision: weights.precision(),
        }
    }

    /// Applies the layer with its norms and its residual connection.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn sublayer(&self, x: Tensor<3>, norms: Norms, rope: &Rope) -> Tensor<3> {
        let branch = || Branch::Attention {
            qkv: self.qkv.val(),
            qk_bias: self.qk_bias.as_ref().map(Param::val),
            proj: self.proj.val(),
            heads: self.shape,
            angles: rope.host.clone(),
        };
        ops::sublayer(x, norms, self.precision, branch, |x| self.forward(&x, rope))
    }

    /// Attends every position to itself and those before it.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn forward(&self, x: &Tensor<3>, rope: &Rope) -> Tensor<3> {
        let (queries, own) = self.queries_keys_values(x, rope);
        self.join_heads(ops::causal_attention(queries, own.keys, own.values))
    }

    /// Attends new positions to themselves and to those of `past`; returns the keys and values of
    /// all of them besides.
    ///
    /// # Shapes
    ///
    /// `x`: `[batch, new, d_model]` to the same; `rope` starts at the first new position.
    ///
    /// # Panics
    ///
    /// Panics where several new positions follow a past: no caller has a use for them.
    pub fn forward_after(
        &self,
        x: &Tensor<3>,
        rope: &Rope,
        past: Option<&KeyValues>,
    ) -> (Tensor<3>, KeyValues) {
        let (queries, own) = self.queries_keys_values(x, rope);
        let Some(past) = past else {
            let attended = ops::causal_attention(queries, own.keys.clone(), own.values.clone());
            return (self.join_heads(attended), own);
        };
        let [_, _, new, _] = queries.dims();
        assert_eq!(new, 1, "one position at a time follows a past");
        let all = past.followed_by(own);
        let attended = ops::attention_to_all(queries, all.keys.clone(), all.values.clone());
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
