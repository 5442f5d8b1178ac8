//! Conversion of a configuration to `config.json`.

use rondo_model::config::ModelConfig;
use serde_json::{Value, json};

use super::MODEL_TYPE;
use crate::element::Element;
use crate::special::SpecialTokens;

/// Returns the whole `config.json` of a model from [`there`](super::limits::there). Derived keys
/// are included, because some readers do not compute them.
pub(super) fn describe(model: &ModelConfig, element: Element, special: &SpecialTokens) -> Value {
    let layers = model.layers;
    let depth = model.effective_depth(model.recurrence.mean);
    let std = (2.0 / (5.0 * model.d_model as f64)).sqrt();
    let mut value = json!({
        "model_type": MODEL_TYPE,
        "architectures": ["RavenForCausalLM"],
        "auto_map": {
            "AutoConfig": "raven_config_minimal.RavenConfig",
            "AutoModelForCausalLM": "raven_modeling_minimal.RavenForCausalLM",
        },
        "architecture_class_name": "RecurrentGPT",
        "block_class_name": "SandwichBlock",
        "norm_class_name": "RMSNorm_llama",
        "mlp_class_name": "GatedMLP",
        "nonlin_name": "SiLU",
        "injection_type": "linear",
        "n_embd": model.d_model,
        "n_heads": model.n_heads,
        "num_key_value_heads": model.n_heads,
        "head_dim": model.d_head(),
        "intermediate_size": model.d_ff,
        "block_size": model.context,
        "vocab_size": model.vocab_size,
        "padded_vocab_size": model.vocab_size,
        "padding_multiple": 1,
        "n_layers": layers.prelude + layers.core + layers.coda,
        "n_layers_in_prelude": layers.prelude,
        "n_layers_in_recurrent_block": layers.core,
        "n_layers_in_coda": layers.coda,
        "bias": false,
        "qk_bias": model.qk_bias.is_there(),
        "tie_embeddings": model.tied_head,
        "norm_eps": model.norm.eps,
        "rope_base": plain(model.rope_base),
        "init_strategy": model.init.scheme,
        "init_orthogonal": model.init.orthogonal,
        "init_values": {
            "std": std,
            "out_proj": std / (2.0 * depth as f64).sqrt(),
            "embedding": std,
            "embed_scale": model.embedding_scale(),
        },
        "state_init": model.state_init,
        "mean_recurrence": model.recurrence.mean,
        "mean_backprop_depth": model.recurrence.backprop_depth,
        "sampling_scheme": model.recurrence.sampler,
        "effective_expected_depth": depth,
        "activation_checkpoint_impl": "per-iteration",
        "test_time_noise": 0,
        "test_time_noise_type": "fixed",
        "torch_dtype": element.torch_name(),
    });
    special.describe(&mut value);
    value
}

/// Writes a whole number without a fraction, as the reference does.
fn plain(x: f64) -> Value {
    let whole = x as u64;
    if (whole as f64).to_bits() == x.to_bits() {
        whole.into()
    } else {
        x.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raven::limits::published;

    #[test]
    fn the_published_shape_has_its_published_derived_fields() {
        let special = SpecialTokens::ending(Some(65_505));
        let value = describe(&published(), Element::Bf16, &special);
        let near = |key: &str, expected: f64| {
            let found = value["init_values"][key].as_f64().expect("a number");
            assert!((found / expected - 1.0).abs() < 1e-6, "{key}: {found}");
        };
        near("std", 0.008_703_883);
        near("out_proj", 0.000_535_687);
        near("embed_scale", 72.663_608);
        assert_eq!(value["effective_expected_depth"], 132);
        assert_eq!(value["head_dim"], 96);
        assert_eq!(value["n_layers"], 8);
        assert_eq!(value["rope_base"].to_string(), "50000");
        assert_eq!(value["torch_dtype"], "bfloat16");
        assert_eq!(value["eos_token_id"], 65_505);
    }
}
