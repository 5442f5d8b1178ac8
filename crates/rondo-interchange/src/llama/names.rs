//! The name of each parameter in this program and in the layouts.
//!
//! | this program | the layout | shape in the layout |
//! |---|---|---|
//! | `tokens` | `model.embed_tokens.weight` | `[V, h]` |
//! | `core.i` | `model.layers.i` | |
//! | `….attention.qkv` | `….self_attn.q_proj.weight`, `k_proj`, `v_proj` | `[heads · d_head, h]` each, transposed |
//! | `….attention.qkv_bias` | `….self_attn.q_proj.bias`, `k_proj`, `v_proj` | `[heads · d_head]` each |
//! | `….attention.q_norm`, `k_norm` | `….self_attn.q_norm.weight`, `k_norm` | the same shape |
//! | `….attention.proj` | `….self_attn.o_proj.weight` | `[h, heads · d_head]`, transposed |
//! | `….feed_forward.in_proj` | `….mlp.gate_proj.weight`, `up_proj` | `[f, h]` each, transposed |
//! | `….feed_forward.out_proj` | `….mlp.down_proj.weight` | `[h, f]`, transposed |
//! | `norm.scale` | `model.norm.weight` | `[h]` |
//! | `head` | `lm_head.weight` | `[V, h]`, transposed |
//!
//! | norms of a block | Llama, Qwen | OLMo 2 | Ouro |
//! |---|---|---|---|
//! | `attn_in` | `input_layernorm` | | `input_layernorm` |
//! | `attn_out` | | `post_attention_layernorm` | `input_layernorm_2` |
//! | `ffn_in` | `post_attention_layernorm` | | `post_attention_layernorm` |
//! | `ffn_out` | | `post_feedforward_layernorm` | `post_attention_layernorm_2` |

use rondo_model::config::ModelConfig;
use rondo_model::init::ParameterSpec;

use super::Kind;
use crate::layout::{Counterpart, Derived, Stored};

/// The token embedding.
const EMBEDDING: &str = "model.embed_tokens.weight";
/// The head, which equals the token embedding if the two are tied.
const HEAD: &str = "lm_head.weight";
/// The matrix of Ouro's exit gate.
pub(super) const GATE_WEIGHT: &str = "model.early_exit_gate.weight";
/// The bias of Ouro's exit gate.
pub(super) const GATE_BIAS: &str = "model.early_exit_gate.bias";

/// Returns why a checkpoint may lack a tensor, or why an import omits it (Ouro's exit gate).
pub(super) fn derived(kind: Kind, name: &str) -> Option<Derived> {
    match name {
        HEAD => Some(Derived::TiedHead {
            embedding: EMBEDDING,
            key: "tie_word_embeddings",
        }),
        GATE_WEIGHT | GATE_BIAS if kind == Kind::Ouro => Some(Derived::LeftOut {
            why: "this program has no learned exit gate and runs every step",
        }),
        // Old files contain the frequencies of each layer.
        _ if name.ends_with(".rotary_emb.inv_freq") => Some(Derived::Table),
        _ => None,
    }
}

/// Returns the counterpart of a row of the parameter table; `None` if the layout has none.
pub(super) fn counterpart(
    kind: Kind,
    model: &ModelConfig,
    row: &ParameterSpec,
) -> Option<Counterpart> {
    let same = |name: &str| {
        let shape = row.shape.clone();
        let name = name.to_owned();
        Some(Counterpart::Same(Stored { name, shape }))
    };
    let turned = |name: String| {
        let shape = row.shape.iter().rev().copied().collect();
        Some(Counterpart::Transposed(Stored { name, shape }))
    };
    match row.name.as_str() {
        "tokens" => return same(EMBEDDING),
        "norm.scale" => return same("model.norm.weight"),
        "head" => return turned(HEAD.to_owned()),
        _ => {}
    }
    let (layer, part) = row.name.strip_prefix("core.")?.split_once('.')?;
    let there = |part: &str| format!("model.layers.{layer}.{part}");
    let [queries, keys] = [model.n_heads, model.n_kv_heads].map(|heads| heads * model.d_head());
    let projections = [("q", queries), ("k", keys), ("v", keys)];
    match part {
        "attention.qkv" => Some(Counterpart::SideBySide(
            projections
                .map(|(letter, width)| Stored {
                    name: there(&format!("self_attn.{letter}_proj.weight")),
                    shape: vec![width, model.d_model],
                })
                .into(),
        )),
        "attention.qkv_bias" => Some(Counterpart::Joined(
            projections
                .map(|(letter, width)| Stored {
                    name: there(&format!("self_attn.{letter}_proj.bias")),
                    shape: vec![width],
                })
                .into(),
        )),
        "attention.q_norm" => same(&there("self_attn.q_norm.weight")),
        "attention.k_norm" => same(&there("self_attn.k_norm.weight")),
        "attention.proj" => turned(there("self_attn.o_proj.weight")),
        "feed_forward.in_proj" => Some(Counterpart::SideBySide(
            ["gate", "up"]
                .map(|which| Stored {
                    name: there(&format!("mlp.{which}_proj.weight")),
                    shape: vec![model.d_ff, model.d_model],
                })
                .into(),
        )),
        "feed_forward.out_proj" => turned(there("mlp.down_proj.weight")),
        norm => same(&there(&format!("{}.weight", norm_name(kind, norm)?))),
    }
}

fn norm_name(kind: Kind, ours: &str) -> Option<&'static str> {
    let name = match (kind, ours) {
        (Kind::Llama | Kind::Qwen2 | Kind::Qwen3 | Kind::Ouro, "attn_in.scale") => {
            "input_layernorm"
        }
        (Kind::Llama | Kind::Qwen2 | Kind::Qwen3 | Kind::Ouro, "ffn_in.scale")
        | (Kind::Olmo2, "attn_out.scale") => "post_attention_layernorm",
        (Kind::Olmo2, "ffn_out.scale") => "post_feedforward_layernorm",
        (Kind::Ouro, "attn_out.scale") => "input_layernorm_2",
        (Kind::Ouro, "ffn_out.scale") => "post_attention_layernorm_2",
        _ => return None,
    };
    Some(name)
}
