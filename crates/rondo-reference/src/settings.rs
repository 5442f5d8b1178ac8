//! `config.json` to our configuration.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rondo_model::config::{
    BlockKind, InitConfig, InitScheme, InjectionKind, LayersConfig, ModelConfig, NormConfig,
    StateInit,
};
use rondo_model::depth::{DepthSampler, MAX_RECURRENCE, Recompute, RecurrenceConfig};
use rondo_model::schedule::CurriculumConfig;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ReferenceError;
use crate::keys::Keys;

/// The value of `model_type`.
pub(crate) const MODEL_TYPE: &str = "huginn_raven";
/// The file.
pub(crate) const CONFIG_FILE: &str = "config.json";
/// The largest file that is read, in bytes; a configuration takes two thousand.
const MAX_BYTES: u64 = 1 << 20;
/// The largest width, vocabulary or context that is believed.
const MAX_SIZE: usize = 1 << 28;
/// The most layers that are believed in one stack.
const MAX_LAYERS: usize = 1 << 12;
/// How far a written standard deviation or factor may be from the one derived from the width.
const DERIVED_TOLERANCE: f64 = 1e-4;

/// What `config.json` says.
pub(crate) struct Settings {
    /// The model; none where a size is missing.
    pub(crate) model: Option<ModelConfig>,
    /// Keys that cannot be represented.
    pub(crate) problems: Vec<String>,
    /// What is passed over and worth knowing.
    pub(crate) warnings: Vec<String>,
}

/// Reads the `config.json` of a folder.
///
/// # Errors
///
/// Where there is none, it is not JSON, or it is that of another type of model.
pub(crate) fn read(dir: &Path) -> Result<Settings, ReferenceError> {
    let path = dir.join(CONFIG_FILE);
    let refuse = |message: String| ReferenceError::Malformed {
        path: path.clone(),
        message,
    };
    let file = File::open(&path).map_err(ReferenceError::io(&path))?;
    let mut text = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(ReferenceError::io(&path))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(refuse(format!(
            "too large for a configuration: more than {MAX_BYTES} bytes"
        )));
    }
    let map: Map<String, Value> =
        serde_json::from_slice(&text).map_err(|error| refuse(format!("not an object: {error}")))?;
    match map.get("model_type") {
        Some(Value::String(kind)) if kind == MODEL_TYPE => Ok(settings(&map)),
        Some(kind) => Err(refuse(format!(
            "model_type must be {MODEL_TYPE:?}, is {kind}"
        ))),
        None => Err(refuse(format!(
            "model_type is missing; only {MODEL_TYPE:?} can be imported"
        ))),
    }
}

fn settings(map: &Map<String, Value>) -> Settings {
    let mut keys = Keys::new(map);
    let mut warnings = Vec::new();
    let model = model(&mut keys, &mut warnings);
    for key in keys.rest() {
        warnings.push(format!("{CONFIG_FILE}: unknown key {key}, passed over"));
    }
    if let Some(model) = &model {
        model.validate(&mut |key, message| {
            keys.problems.push(format!("model.{key} {message}"));
        });
    }
    let problems = keys.problems;
    Settings {
        model,
        problems,
        warnings,
    }
}

fn model(keys: &mut Keys<'_>, warnings: &mut Vec<String>) -> Option<ModelConfig> {
    let d_model = keys.needed("n_embd", Some("hidden_size"), MAX_SIZE);
    let n_heads = keys.needed("n_heads", Some("num_attention_heads"), MAX_SIZE);
    let d_ff = keys.needed("intermediate_size", None, MAX_SIZE);
    let context = keys.needed("block_size", None, MAX_SIZE);
    let vocab = keys.needed("vocab_size", None, MAX_SIZE);
    // The rows of the embedding, where that was padded to a round number.
    let padded = keys.size("padded_vocab_size", MAX_SIZE);
    let prelude = keys.needed("n_layers_in_prelude", None, MAX_LAYERS);
    let core = keys.needed("n_layers_in_recurrent_block", None, MAX_LAYERS);
    let coda = keys.needed("n_layers_in_coda", None, MAX_LAYERS);
    keys.one_of("architecture_class_name", &["RecurrentGPT"]);
    keys.one_of("block_class_name", &["SandwichBlock"]);
    keys.one_of("norm_class_name", &["RMSNorm_llama", "RMSNorm"]);
    keys.one_of("mlp_class_name", &["GatedMLP"]);
    keys.one_of("nonlin_name", &["SiLU"]);
    keys.one_of("injection_type", &["linear"]);
    if let Some(classes) = keys.get("architectures")
        && *classes != serde_json::json!(["RavenForCausalLM"])
    {
        keys.refuse(
            "architectures",
            &format!("must be [\"RavenForCausalLM\"], is {classes}"),
        );
    }
    let tied_head = tied_head(keys);
    let qk_bias = keys.flag("qk_bias").unwrap_or(true);
    let rope_base = keys.number("rope_base").unwrap_or(50_000.0);
    let eps = keys.number("norm_eps").unwrap_or(1e-6);
    let recurrence = recurrence(keys, warnings);
    let orthogonal = keys.flag("init_orthogonal").unwrap_or(false);
    let state_init = keys.word("state_init").unwrap_or("like-init");
    let state_init = named(state_init).unwrap_or_else(|| {
        keys.refuse(
            "state_init",
            &format!("is {state_init:?}, which no law here is called"),
        );
        StateInit::LikeInit
    });
    let (d_model, n_heads, vocab) = (d_model?, n_heads?, vocab?);
    let layers = LayersConfig {
        prelude: prelude?,
        core: core?,
        coda: coda?,
    };
    agree(keys, warnings, d_model, n_heads, layers);
    let scheme = scheme(keys, warnings, d_model);
    Some(ModelConfig {
        vocab_size: Some(padded.unwrap_or(vocab)),
        d_model,
        n_heads,
        n_kv_heads: None,
        d_ff: d_ff?,
        context: context?,
        block: BlockKind::Sandwich,
        qk_bias,
        qk_norm: false,
        rope_base,
        tied_head,
        norm: NormConfig { learned: true, eps },
        layers,
        injection: InjectionKind::Linear,
        state_init,
        init: InitConfig { scheme, orthogonal },
        recurrence,
        sparsity: None,
    })
}

fn tied_head(keys: &mut Keys<'_>) -> bool {
    let (tied, words) = (
        keys.flag("tie_embeddings"),
        keys.flag("tie_word_embeddings"),
    );
    if let (Some(tied), Some(words)) = (tied, words)
        && tied != words
    {
        keys.refuse(
            "tie_embeddings",
            &format!("is {tied}, but tie_word_embeddings is {words}"),
        );
    }
    tied.or(words).unwrap_or(true)
}

fn recurrence(keys: &mut Keys<'_>, warnings: &mut Vec<String>) -> RecurrenceConfig {
    let scheme = keys.word("sampling_scheme");
    let sampler = scheme.and_then(named).unwrap_or_else(|| {
        if let Some(scheme) = scheme {
            warnings.push(format!(
                "{CONFIG_FILE}: sampling_scheme {scheme:?} is not known here; training would draw \
                 depths by poisson-lognormal-filling"
            ));
        }
        DepthSampler::PoissonLognormalFilling
    });
    RecurrenceConfig {
        mean: keys.size("mean_recurrence", MAX_SIZE).unwrap_or(32),
        backprop_depth: keys.size("mean_backprop_depth", MAX_SIZE).unwrap_or(8),
        max: MAX_RECURRENCE,
        sampler,
        recompute: Recompute::None,
        curriculum: CurriculumConfig::default(),
    }
}

/// Checks the keys that repeat what follows from others.
fn agree(
    keys: &mut Keys<'_>,
    warnings: &mut Vec<String>,
    d_model: usize,
    n_heads: usize,
    layers: LayersConfig,
) {
    if let Some(kv) = keys.size("num_key_value_heads", MAX_SIZE)
        && kv != n_heads
    {
        let problem = format!("is {kv}; the reference has no grouped heads, n_heads is {n_heads}");
        keys.refuse("num_key_value_heads", &problem);
    }
    if let Some(d_head) = keys.size("head_dim", MAX_SIZE)
        && d_head.checked_mul(n_heads) != Some(d_model)
    {
        keys.refuse("head_dim", &format!("is {d_head}, not n_embd / n_heads"));
    }
    let total = layers.prelude + layers.core + layers.coda;
    for key in ["n_layers", "num_hidden_layers"] {
        if let Some(written) = keys.size(key, MAX_SIZE)
            && written != total
        {
            warnings.push(format!(
                "{CONFIG_FILE}: {key} is {written}, the three stacks have {total} layers; it is not used"
            ));
        }
    }
}

/// Finds the scheme from the factor on embeddings, which the reference's model reads, and from the
/// name, which it does not.
fn scheme(keys: &mut Keys<'_>, warnings: &mut Vec<String>, d_model: usize) -> InitScheme {
    let width = d_model as f64;
    let near = |x: f64, y: f64| (x - y).abs() <= DERIVED_TOLERANCE * y;
    let values = keys.get("init_values").cloned();
    let value = |name: &str| values.as_ref()?.get(name)?.as_f64();
    let word = keys.word("init_strategy").unwrap_or("takase");
    let factor = value("embed_scale").unwrap_or(width.sqrt());
    if let Some(std) = value("std")
        && !near(std, (2.0 / (5.0 * width)).sqrt())
    {
        keys.refuse(
            "init_values.std",
            &format!("is {std}, not the square root of 2 / (5 n_embd)"),
        );
    }
    let scheme = if near(factor, width.sqrt()) {
        InitScheme::Takase
    } else if near(factor, 1.0) {
        named(word)
            .filter(|scheme| *scheme == InitScheme::Small)
            .unwrap_or(InitScheme::Scaled)
    } else {
        let problem =
            format!("is {factor}; only the square root of n_embd and 1 can be represented");
        keys.refuse("init_values.embed_scale", &problem);
        InitScheme::Takase
    };
    if named(word) != Some(scheme) {
        warnings.push(format!(
            "{CONFIG_FILE}: init_strategy is {word:?}, but embeddings are scaled by {factor}; the \
             factor counts"
        ));
    }
    scheme
}

/// Reads one of our names.
fn named<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(Value::String(word.to_owned())).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
        settings(&map)
    }

    #[test]
    fn sizes_and_switches_are_read_and_the_rest_is_as_published() {
        let found = settings(&map());
        assert_eq!((found.problems.len(), found.warnings.len()), (0, 0));
        let model = found.model.expect("all sizes are there");
        let shape = (
            model.d_model,
            model.n_heads,
            model.d_ff,
            model.context,
            model.vocab(),
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
        assert!(!model.qk_bias && model.tied_head && model.norm.learned);
        assert_eq!(model.init.scheme, InitScheme::Takase);
        assert!((model.rope_base - 1e4).abs() < 1e-9 && (model.norm.eps - 1e-5).abs() < 1e-12);
    }

    #[test]
    fn a_padded_vocabulary_counts_the_rows_of_the_embedding() {
        let found = with("padded_vocab_size", json!(16));
        assert_eq!(found.model.expect("all sizes are there").vocab(), 16);
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
        let found = settings(&map);
        assert!(found.model.is_none());
        assert_eq!(found.problems, ["n_embd is missing"]);
    }

    #[test]
    fn the_factor_on_embeddings_decides_the_scheme() {
        let scheme = |found: &Settings| found.model.as_ref().map(|model| model.init.scheme);
        let one = with("init_values", json!({"embed_scale": 1.0}));
        assert_eq!(scheme(&one), Some(InitScheme::Scaled));
        let four = with(
            "init_values",
            json!({"embed_scale": 4.0, "std": 0.158_113_9}),
        );
        assert_eq!(scheme(&four), Some(InitScheme::Takase));
        assert!(four.problems.is_empty(), "{:?}", four.problems);
        let two = with("init_values", json!({"embed_scale": 2.0}));
        assert!(
            two.problems[0].contains("embed_scale"),
            "{:?}",
            two.problems
        );
        let named = with("init_strategy", json!("scaled"));
        assert_eq!(scheme(&named), Some(InitScheme::Takase));
        assert_eq!(named.warnings.len(), 1);
    }
}
