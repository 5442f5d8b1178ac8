//! Causal self-attention with a fused query-key-value matrix, rotary positions and grouped heads.
//!
//! The optional QK bias is added to q and k before the rotary embedding; the optional QK norm
//! (root-mean-square, without parameters) follows it.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, s};

use crate::config::ModelConfig;
use crate::init::Weights;
use crate::ops;

/// Cosines and sines of the rotary embedding (Su et al. 2021, arXiv 2104.09864):
/// angle(pos, j) = pos · base^(−2j / d_head), computed in f32; laid out for
/// [`ops::rotate_pairs`], `[seq, d_head]` each.
#[derive(Clone, Debug)]
pub struct Rope {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Rope {
    /// Computes the tables of positions `0..seq`.
    pub fn new(config: &ModelConfig, seq: usize, device: &Device) -> Self {
        let d_head = config.d_head();
        let angle = |i: usize| {
            let (position, pair) = (i / d_head, i % d_head / 2);
            let exponent = (2 * pair) as f32 / d_head as f32;
            position as f32 / (config.rope_base as f32).powf(exponent)
        };
        let table = |f: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = (0..seq * d_head).map(f).collect();
            Tensor::from_data(TensorData::new(values, [seq, d_head]), device)
        };
        let sign = |i: usize| if i.is_multiple_of(2) { -1.0 } else { 1.0 };
        Self {
            cos: table(&|i| angle(i).cos()),
            sin: table(&|i| sign(i) * angle(i).sin()),
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

/// One attention layer.
#[derive(Module, Debug)]
pub struct Attention {
    qkv: Param<Tensor<2>>,
    qk_bias: Option<Param<Tensor<2>>>,
    proj: Param<Tensor<2>>,
    #[module(skip)]
    shape: Heads,
}

/// What the layer needs to know of the configuration.
#[derive(Clone, Copy, Debug)]
struct Heads {
    queries: usize,
    keys: usize,
    d_head: usize,
    qk_norm_eps: Option<f64>,
}

impl Attention {
    /// Builds the layer at path `name`.
    pub fn new(config: &ModelConfig, name: &str, weights: &Weights<'_>) -> Self {
        Self {
            qkv: weights.draw(&format!("{name}.qkv")),
            qk_bias: config
                .qk_bias
                .then(|| weights.draw(&format!("{name}.qk_bias"))),
            proj: weights.draw(&format!("{name}.proj")),
            shape: Heads {
                queries: config.n_heads,
                keys: config.kv_heads(),
                d_head: config.d_head(),
                qk_norm_eps: config.qk_norm.then_some(config.norm.eps),
            },
        }
    }

    /// Attends every position to itself and those before it.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]` to the same.
    pub fn forward(&self, x: &Tensor<3>, rope: &Rope) -> Tensor<3> {
        let [batch, seq, d_model] = x.dims();
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
        let q = rotated(0, queries);
        let k = rotated(queries, keys);
        let v = heads(queries + keys, keys).swap_dims(1, 2);
        let attended = ops::causal_attention(q, k, v);
        ops::project(
            attended.swap_dims(1, 2).reshape([batch, seq, d_model]),
            self.proj.val(),
        )
    }
}
