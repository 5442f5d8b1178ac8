//! Our configuration to `config.json`, and what the layout cannot express.

use rondo_model::config::{BlockKind, InitScheme, InjectionKind, ModelConfig, StateInit};
use serde::Serialize;
use serde_json::{Value, json};

use crate::element::Element;
use crate::settings::MODEL_TYPE;

/// Returns every reason why a model has no place in the layout, by its key.
pub(crate) fn inexpressible(model: &ModelConfig) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut only = |holds: bool, key: &str, found: String, there: &str| {
        if !holds {
            reasons.push(format!("model.{key} is {found}; the reference has {there}"));
        }
    };
    only(
        model.block == BlockKind::Sandwich,
        "block",
        word(&model.block),
        "sandwich blocks only",
    );
    only(
        model.norm.learned,
        "norm.learned",
        "false".to_owned(),
        "norms with a learned scale only",
    );
    only(
        model.injection == InjectionKind::Linear,
        "injection",
        word(&model.injection),
        "the linear injection only",
    );
    only(
        model.kv_heads() == model.n_heads,
        "n_kv_heads",
        model.kv_heads().to_string(),
        "as many key as query heads",
    );
    only(
        !model.qk_norm,
        "qk_norm",
        "true".to_owned(),
        "no norm of queries and keys",
    );
    only(
        model.sparsity.is_none(),
        "sparsity",
        "set".to_owned(),
        "attention without gates",
    );
    reasons
}

/// Returns what the reference would do otherwise with a model that it can express.
pub(crate) fn differences(model: &ModelConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    if model.state_init != StateInit::LikeInit {
        warnings.push(format!(
            "model.state_init is {}; the reference's model draws like-init unless it is given the \
             states",
            word(&model.state_init)
        ));
    }
    warnings
}

/// Returns the whole `config.json` of a model that the layout can express, its derived fields
/// included: readers differ in which of them they compute.
pub(crate) fn describe(model: &ModelConfig, element: Element, end_of_text: Option<u32>) -> Value {
    let layers = model.layers;
    let depth = model.effective_depth(model.recurrence.mean);
    let std = (2.0 / (5.0 * model.d_model as f64)).sqrt();
    let out_proj = match model.init.scheme {
        InitScheme::Takase | InitScheme::Scaled => std / (2.0 * depth as f64).sqrt(),
        InitScheme::Small => std,
    };
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
        "vocab_size": model.vocab(),
        "padded_vocab_size": model.vocab(),
        "padding_multiple": 1,
        "n_layers": layers.prelude + layers.core + layers.coda,
        "n_layers_in_prelude": layers.prelude,
        "n_layers_in_recurrent_block": layers.core,
        "n_layers_in_coda": layers.coda,
        "bias": false,
        "qk_bias": model.qk_bias,
        "tie_embeddings": model.tied_head,
        "norm_eps": model.norm.eps,
        "rope_base": plain(model.rope_base),
        "init_strategy": model.init.scheme,
        "init_orthogonal": model.init.orthogonal,
        "init_values": {
            "std": std,
            "out_proj": out_proj,
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
    if let Some(id) = end_of_text {
        value["eos_token_id"] = id.into();
    }
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

/// Returns the name of one of our choices.
fn word(choice: &impl Serialize) -> String {
    serde_json::to_value(choice).map_or_else(
        |_| "unknown".to_owned(),
        |value| value.as_str().unwrap_or("unknown").to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use rondo_model::sparsity::SparsityConfig;

    use rondo_model::config::NormConfig;

    use super::*;

    fn published() -> ModelConfig {
        let mut model = ModelConfig {
            vocab_size: Some(65_536),
            d_model: 5280,
            n_heads: 55,
            d_ff: 17_920,
            ..ModelConfig::default()
        };
        (model.layers.prelude, model.layers.core, model.layers.coda) = (2, 4, 2);
        (model.recurrence.mean, model.recurrence.backprop_depth) = (32, 8);
        model
    }

    #[test]
    fn the_published_shape_has_its_published_derived_fields() {
        let value = describe(&published(), Element::Bf16, Some(65_505));
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

    #[test]
    fn each_reason_is_told_by_its_key() {
        assert!(inexpressible(&published()).is_empty());
        let model = ModelConfig {
            block: BlockKind::PreNorm,
            norm: NormConfig {
                learned: false,
                ..NormConfig::default()
            },
            injection: InjectionKind::Gate,
            n_kv_heads: Some(5),
            qk_norm: true,
            sparsity: Some(SparsityConfig::default()),
            ..published()
        };
        let reasons = inexpressible(&model);
        let keys: Vec<&str> = reasons
            .iter()
            .filter_map(|reason| reason.split_whitespace().next())
            .collect();
        let expected = [
            "block",
            "norm.learned",
            "injection",
            "n_kv_heads",
            "qk_norm",
            "sparsity",
        ];
        assert_eq!(keys, expected.map(|key| format!("model.{key}")));
    }
}
