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
/// angle(pos, j) = pos · base^(−2j / d_head), computed in f32.
#[derive(Clone, Debug)]
pub struct Rope {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Rope {
    /// Computes the tables of positions `0..seq`.
    pub fn new(config: &ModelConfig, seq: usize, device: &Device) -> Self {
        let half = config.d_head() / 2;
        let angles: Vec<f32> = (0..seq * half)
            .map(|i| {
                let (position, pair) = (i / half, i % half);
                let exponent = (2 * pair) as f32 / config.d_head() as f32;
                position as f32 / (config.rope_base as f32).powf(exponent)
            })
            .collect();
        let table = |f: fn(f32) -> f32| {
            let values: Vec<f32> = angles.iter().copied().map(f).collect();
            Tensor::from_data(TensorData::new(values, [seq, half]), device)
        };
        Self {
            cos: table(f32::cos),
            sin: table(f32::sin),
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
    pub fn forward(&self, x: Tensor<3>, rope: &Rope) -> Tensor<3> {
        let [batch, seq, d_model] = x.dims();
        let Heads {
            queries,
            keys,
            d_head,
            qk_norm_eps,
        } = self.shape;
        let rotated = queries + keys;
        let qkv = ops::project(x, self.qkv.val()).reshape([batch, seq, rotated + keys, d_head]);
        let mut qk = qkv.clone().slice(s![.., .., ..rotated, ..]);
        let v = qkv.slice(s![.., .., rotated.., ..]);
        if let Some(bias) = &self.qk_bias {
            qk = qk + bias.val().unsqueeze();
        }
        qk = rope.rotate(qk);
        if let Some(eps) = qk_norm_eps {
            let rows = qk.reshape([batch, seq * rotated, d_head]);
            qk = ops::rms_norm(rows, None, eps).reshape([batch, seq, rotated, d_head]);
        }
        let q = qk.clone().slice(s![.., .., ..queries, ..]).swap_dims(1, 2);
        let k = qk.slice(s![.., .., queries.., ..]).swap_dims(1, 2);
        let attended = ops::causal_attention(q, k, v.swap_dims(1, 2));
        ops::project(
            attended.swap_dims(1, 2).reshape([batch, seq, d_model]),
            self.proj.val(),
        )
    }
}
