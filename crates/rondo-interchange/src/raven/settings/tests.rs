//! Tests of single keys in a small `config.json`.

use serde_json::{Map, json};

use super::*;
use crate::family::Family;
use crate::settings::{Settings, interpret};
use crate::special::SpecialTokens;

fn map() -> Map<String, Value> {
    let value = json!({
        "model_type": "huginn_raven", "n_embd": 16, "n_heads": 2, "intermediate_size": 24,
        "block_size": 32, "vocab_size": 11, "n_layers_in_prelude": 2,
        "n_layers_in_recurrent_block": 3, "n_layers_in_coda": 1, "mean_recurrence": 7,
        "mean_backprop_depth": 5, "rope_base": 10_000, "norm_eps": 1e-5, "qk_bias": false,
    });
    value.as_object().expect("an object").clone()
}

fn with(key: &str, value: Value) -> Settings {
    let mut map = map();
    map.insert(key.to_owned(), value);
    interpret(Family::Raven, &map)
}

#[test]
fn sizes_and_switches_are_read_and_the_rest_is_as_published() {
    let found = interpret(Family::Raven, &map());
    assert_eq!((found.problems.len(), found.warnings.len()), (0, 0));
    let model = found.model.expect("all sizes are there");
    let shape = (
        model.d_model,
        model.n_heads,
        model.d_ff,
        model.context,
        model.vocab_size,
    );
    assert_eq!(shape, (16, 2, 24, 32, 11));
    assert_eq!(
        (model.layers.prelude, model.layers.core, model.layers.coda),
        (2, 3, 1)
    );
    assert_eq!(
        (model.recurrence.mean, model.recurrence.backprop_depth),
        (7, 5)
    );
    assert!(model.tied_head && model.norm.learned);
    assert_eq!(model.qk_bias, QkBias::None);
    assert_eq!(model.init.scheme, InitScheme::Takase);
    assert!((model.rope_base - 1e4).abs() < 1e-9 && (model.norm.eps - 1e-5).abs() < 1e-12);
}

#[test]
fn a_padded_vocabulary_counts_the_rows_of_the_embedding() {
    let found = with("padded_vocab_size", json!(16));
    assert_eq!(found.model.expect("all sizes are there").vocab_size, 16);
}

#[test]
fn each_value_that_changes_the_function_is_refused_by_its_key() {
    for (key, value) in [
        ("nonlin_name", json!("GELU")),
        ("block_class_name", json!("TransformerPreNormBlock")),
        ("norm_class_name", json!("LayerNorm")),
        ("mlp_class_name", json!("BaseMLP")),
        ("injection_type", json!("add")),
        ("architecture_class_name", json!("GPT")),
        ("architectures", json!(["GPT2LMHeadModel"])),
        ("bias", json!(true)),
        ("lm_head_bias", json!(true)),
        ("test_time_noise", json!(0.1)),
        ("rope_scaling", json!({"type": "linear", "factor": 2.0})),
        ("clip_qkv", json!(8)),
        ("num_key_value_heads", json!(1)),
        ("head_dim", json!(4)),
        ("tie_word_embeddings", json!(7)),
        ("n_embd", json!(16.5)),
        ("n_embd", json!(-16)),
        ("n_layers_in_coda", json!(1_000_000_000_000_u64)),
        ("norm_eps", json!("small")),
        ("state_init", json!("sometimes")),
        ("mup_model_scaling_factor", json!(2)),
        ("qk_norm", json!(true)),
    ] {
        let found = with(key, value.clone());
        let named = found
            .problems
            .iter()
            .filter(|problem| problem.starts_with(key));
        assert_eq!(named.count(), 1, "{key} {value}: {:?}", found.problems);
    }
    let deep = with("mean_recurrence", json!(65));
    assert!(
        deep.problems[0].contains("1 to 64, found 65"),
        "{:?}",
        deep.problems
    );
}

#[test]
fn values_that_are_off_and_known_keys_pass_in_silence_and_unknown_keys_are_named() {
    for (key, value) in [
        ("bias", json!(false)),
        ("test_time_noise", json!(0)),
        ("test_time_noise", json!(0.0)),
        ("clip_qkv", json!(null)),
        ("normalize_rec", json!("")),
        ("mup_model_scaling_factor", json!(1)),
        ("auto_map", json!({"AutoConfig": "x"})),
        ("eos_token_id", json!(3)),
        ("num_key_value_heads", json!(2)),
        ("n_layers", json!(6)),
    ] {
        let found = with(key, value);
        assert!(found.problems.is_empty(), "{key}: {:?}", found.problems);
        assert!(found.warnings.is_empty(), "{key}: {:?}", found.warnings);
    }
    let found = with("flux_capacitance", json!(1.21));
    assert!(found.problems.is_empty());
    assert!(
        found.warnings[0].contains("flux_capacitance"),
        "{:?}",
        found.warnings
    );
}

#[test]
fn a_missing_size_is_named() {
    let mut map = map();
    map.remove("n_embd");
    let found = interpret(Family::Raven, &map);
    assert!(found.model.is_none());
    assert_eq!(found.problems, ["n_embd is missing"]);
}

#[test]
fn what_the_reference_does_not_read_of_initial_values_changes_nothing_and_is_told() {
    for (key, value, told) in [
        (
            "init_values",
            json!({"embed_scale": 4.0, "std": 0.158_113_9}),
            0,
        ),
        ("init_values", json!({"embed_scale": 1.0}), 1),
        ("init_values", json!({"embed_scale": 2.0}), 1),
        ("init_strategy", json!("takase"), 0),
        ("init_strategy", json!("scaled"), 1),
        ("init_strategy", json!("small"), 1),
        ("init_strategy", json!("wishful"), 1),
    ] {
        let found = with(key, value.clone());
        let scheme = found.model.as_ref().map(|model| model.init.scheme);
        assert_eq!(scheme, Some(InitScheme::Takase), "{key} {value}");
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        assert_eq!(found.warnings.len(), told, "{value}: {:?}", found.warnings);
        assert!(found.warnings.iter().all(|warning| warning.contains(key)));
    }
    let wide = with("init_values", json!({"std": 0.5}));
    assert!(
        wide.problems[0].contains("init_values.std"),
        "{:?}",
        wide.problems
    );
}

#[test]
fn a_law_of_depth_of_the_same_name_only_is_told_and_not_taken() {
    for (scheme, sampler, told) in [
        (
            "poisson-lognormal-filling",
            DepthSampler::PoissonLognormalFilling,
            0,
        ),
        ("fixed", DepthSampler::Fixed, 0),
        ("non-recurrent", DepthSampler::NonRecurrent, 0),
        ("full", DepthSampler::PoissonLognormalFilling, 1),
        ("geometric", DepthSampler::PoissonLognormalFilling, 1),
        ("sobol", DepthSampler::PoissonLognormalFilling, 1),
    ] {
        let found = with("sampling_scheme", json!(scheme));
        let model = found.model.expect("all sizes are there");
        assert_eq!(model.recurrence.sampler, sampler, "{scheme}");
        assert_eq!(found.warnings.len(), told, "{scheme}: {:?}", found.warnings);
        assert!(
            found
                .warnings
                .iter()
                .all(|warning| warning.contains(scheme))
        );
    }
}

#[test]
fn ids_of_special_tokens_are_read_below_the_rows_of_the_embedding() {
    let found = with("eos_token_id", json!([3, 10]));
    assert_eq!(
        (found.special.stops(), found.warnings.len()),
        (&[3, 10][..], 0)
    );
    let found = with("pad_token_id", json!(11));
    assert_eq!(found.special, SpecialTokens::default());
    assert!(
        found.warnings[0].contains("pad_token_id"),
        "{:?}",
        found.warnings
    );
}
