//! Conversion of a configuration to `config.json`.

use rondo_model::config::{ModelConfig, RopeScaling};
use serde_json::{Value, json};

use super::Kind;
use crate::element::Element;
use crate::special::SpecialTokens;

/// Returns the whole `config.json` of a model from [`super::limits::express`].
pub(super) fn describe(
    kind: Kind,
    model: &ModelConfig,
    element: Element,
    special: &SpecialTokens,
) -> Value {
    let layers = model.layers.core;
    let scaling = model.rope_scaling.map(|scaling| match scaling {
        RopeScaling::Llama3 {
            factor,
            low_frequency,
            high_frequency,
            original_context,
        } => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low_frequency,
            "high_freq_factor": high_frequency,
            "original_max_position_embeddings": original_context,
        }),
    });
    let mut value = json!({
        "model_type": kind.model_type(),
        "architectures": [kind.architecture()],
        "hidden_size": model.d_model,
        "num_hidden_layers": layers,
        "num_attention_heads": model.n_heads,
        "num_key_value_heads": model.n_kv_heads,
        "head_dim": model.d_head(),
        "intermediate_size": model.d_ff,
        "hidden_act": "silu",
        "max_position_embeddings": model.context,
        "vocab_size": model.vocab_size,
        "rms_norm_eps": model.norm.eps,
        "rope_theta": model.rope_base,
        "rope_scaling": scaling,
        "tie_word_embeddings": model.tied_head,
        "attention_dropout": 0.0,
        "torch_dtype": element.torch_name(),
    });
    let mut put = |keys: Value| {
        for (key, own) in keys.as_object().into_iter().flatten() {
            value[key] = own.clone();
        }
    };
    let no_window = json!({
        "use_sliding_window": false,
        "layer_types": vec!["full_attention"; layers],
    });
    match kind {
        Kind::Llama => put(json!({"attention_bias": false, "mlp_bias": false})),
        Kind::Olmo2 => put(json!({"attention_bias": false})),
        Kind::Qwen2 => put(no_window),
        Kind::Qwen3 => {
            put(no_window);
            put(json!({"attention_bias": false}));
        }
        Kind::Ouro => {
            put(no_window);
            put(json!({
                "total_ut_steps": model.recurrence.planned().total(),
                "early_exit_threshold": 1.0,
                "auto_map": {
                    "AutoConfig": "configuration_ouro.OuroConfig",
                    "AutoModel": "modeling_ouro.OuroModel",
                    "AutoModelForCausalLM": "modeling_ouro.OuroForCausalLM",
                },
            }));
        }
    }
    special.describe(&mut value);
    value
}
