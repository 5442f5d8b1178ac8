//! Causal self-attention with a fused query-key-value matrix, rotary positions and grouped heads.
//!
//! | operation | place |
//! |---|---|
//! | bias of q and k, or of q, k and v | first, after the projection |
//! | norm of q and k with learned scales, per head or over all heads | second |
//! | rotary embedding of q and k, on neighbours or on halves | third |
//! | norm of q and k without a scale, per head | last |

use burn::module::{Module, Param};
use burn::tensor::{Tensor, s};

use crate::config::{self, ModelConfig, QkBias};
use crate::init::Weights;
use crate::layer::{At, Layer};
use crate::ops::{
    AttentionHeads, AttentionWeights, Gate, Heads, Norm, NormedOver, Opening, Operations, QkNorm,
    SelfAttention,
};
use crate::pass::Shared;

pub use crate::ops::{Rope, Segments};

/// The rotated keys and the values of earlier positions, `[batch, kv_heads, positions, d_head]`
/// each. Later positions attend to these keys and values.
#[derive(Clone, Debug)]
pub struct KeyValues {
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl KeyValues {
    /// Returns the keys and values of these positions followed by those of `next`.
    fn followed_by(&self, next: Self) -> Self {
        Self {
            keys: Tensor::cat(vec![self.keys.clone(), next.keys], 2),
            values: Tensor::cat(vec![self.values.clone(), next.values], 2),
        }
    }

    /// Returns the keys and values of these positions followed by those of the last `count`
    /// positions of `other`.
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
    qkv_bias: Option<Param<Tensor<2>>>,
    q_norm: Option<Param<Tensor<1>>>,
    k_norm: Option<Param<Tensor<1>>>,
    gate_bias: Option<Param<Tensor<1>>>,
    proj: Param<Tensor<2>>,
    /// The layer without its weights. Its gates open by threshold; [`Self::description`] returns a
    /// copy whose gates open as in a pass.
    #[module(skip)]
    description: SelfAttention,
}

impl Attention {
    /// Builds the attention of `layer`.
    pub fn new(config: &ModelConfig, layer: Layer, weights: &Weights<'_>) -> Self {
        let name = format!("{}.attention", layer.name());
        let gates = config.gates_of(layer.stack);
        let over = match config.qk_norm {
            config::QkNorm::None => None,
            config::QkNorm::Plain => Some(NormedOver::RotatedHeads),
            config::QkNorm::Head => Some(NormedOver::Heads),
            config::QkNorm::Width => Some(NormedOver::Width),
        };
        let scaled = matches!(over, Some(NormedOver::Heads | NormedOver::Width));
        Self {
            qkv: weights.get(&format!("{name}.qkv")),
            qk_bias: (config.qk_bias == QkBias::Qk)
                .then(|| weights.get(&format!("{name}.qk_bias"))),
            qkv_bias: (config.qk_bias == QkBias::Qkv)
                .then(|| weights.get(&format!("{name}.qkv_bias"))),
            q_norm: scaled.then(|| weights.get(&format!("{name}.q_norm"))),
            k_norm: scaled.then(|| weights.get(&format!("{name}.k_norm"))),
            gate_bias: gates
                .filter(|gates| gates.learned_bias)
                .map(|_| weights.get(&format!("{name}.gate_bias"))),
            proj: weights.get(&format!("{name}.proj")),
            description: SelfAttention {
                heads: Heads {
                    queries: config.n_heads,
                    keys: config.n_kv_heads,
                    d_head: config.d_head(),
                },
                qk_norm: over.map(|over| QkNorm {
                    norm: Norm {
                        eps: config.norm.eps as f32,
                    },
                    over,
                }),
                gate: gates.map(|gates| Gate {
                    opening: Opening::Threshold,
                    bias: gates.gate_bias as f32,
                    d_density: 0.0,
                }),
                precision: weights.precision(),
            },
        }
    }

    /// Returns whether the layer has gates.
    pub fn has_gates(&self) -> bool {
        self.description.gate.is_some()
    }

    /// Describes one application of the layer, without its weights.
    pub fn description(&self, pass: Shared<'_>, at: At) -> SelfAttention {
        SelfAttention {
            gate: self.description.gate.map(|gate| Gate {
                opening: pass.gates.opening_at(at),
                d_density: pass.weight as f32,
                ..gate
            }),
            ..self.description
        }
    }

    /// Returns the weights.
    pub fn weights(&self) -> AttentionWeights<Tensor<2>, Tensor<1>> {
        AttentionWeights {
            qkv: self.qkv.val(),
            qk_bias: self
                .qk_bias
                .as_ref()
                .or(self.qkv_bias.as_ref())
                .map(Param::val),
            q_norm: self.q_norm.as_ref().map(Param::val),
            k_norm: self.k_norm.as_ref().map(Param::val),
            gate_bias: self.gate_bias.as_ref().map(Param::val),
            proj: self.proj.val(),
        }
    }
}

/// Attends from new positions to these positions and to the earlier positions of `past`. Also
/// returns the keys and values of all positions, but no open edges.
///
/// # Shapes
///
/// `x`: `[batch, new, d_model]` to the same. The positions of `rope` start at the first new
/// position.
///
/// # Panics
///
/// Panics if `past` is given and there is more than one new position, because no caller needs this.
pub fn forward_after(
    ops: &dyn Operations,
    attention: &SelfAttention,
    weights: AttentionWeights<Tensor<2>, Tensor<1>>,
    x: &Tensor<3>,
    rope: &Rope,
    past: Option<&KeyValues>,
) -> (Tensor<3>, KeyValues) {
    let own = AttentionHeads::of(ops, attention, &weights, rope, x);
    let AttentionHeads {
        queries,
        keys,
        values,
    } = own;
    let own = KeyValues { keys, values };
    let all = match past {
        None => own,
        Some(past) => {
            let [_, _, new, _] = queries.dims();
            assert_eq!(new, 1, "one position at a time follows a past");
            past.followed_by(own)
        }
    };
    let heads = AttentionHeads {
        queries,
        keys: all.keys.clone(),
        values: all.values.clone(),
    };
    let y = match past {
        None => heads.attend(ops, attention, weights, rope).0,
        Some(_) => heads.attend_to_all(ops, attention, weights),
    };
    (y, all)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::ops::{self, Precision, composed};
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
            qkv_bias: None,
            q_norm: None,
            k_norm: None,
            gate_bias: None,
            proj: Param::from_tensor(values),
            description: SelfAttention {
                heads: Heads {
                    queries: 1,
                    keys: 1,
                    d_head: 2,
                },
                qk_norm: None,
                gate: None,
                precision: Precision::F32,
            },
        };
        let x: Tensor<3> = Tensor::from_data([[[8.0, 0.0], [0.0, 4.0], [1.0, 2.0]]], &device);
        let pass = Pass::new(&config, 3, &device);
        let (pass, at) = (pass.shared(), At::Prelude { layer: 0 });
        let (description, weights) = (attention.description(pass, at), attention.weights());
        let (y, open) = composed::attention(ops::of(&x), &description, weights, pass.rope, &x);
        assert!(open.is_none(), "there are no gates");
        let y: Vec<f32> = y.into_data().iter().collect();
        assert_eq!(y, [8.0, 0.0, 4.0, 2.0, 3.0, 2.0]);
    }
}
