//! Conversion of `config.json` to a configuration.

use rondo_model::config::{
    BlockKind, BoundaryNorm, BranchScale, ConditioningKind, InitConfig, InitScheme, InjectionKind,
    LayersConfig, ModelConfig, NormConfig, QkBias, QkNorm, ResidualKind, RopePairing, StateInit,
};
use rondo_model::depth::{DepthSampler, MAX_RECURRENCE, Recompute, RecurrenceConfig};
use rondo_schedule::CurriculumConfig;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::keys::{Keys, MAX_SIZE};
use crate::settings::CONFIG_FILE;

/// The maximum number of layers in one stack.
const MAX_LAYERS: usize = 1 << 12;
/// Some values follow from the width. This is the largest accepted relative difference between such
/// a value in the file and the computed value.
const DERIVED_TOLERANCE: f64 = 1e-4;

/// Reads the model; `None` if a size is missing.
pub(super) fn model(keys: &mut Keys<'_>, warnings: &mut Vec<String>) -> Option<ModelConfig> {
    let d_model = keys.needed("n_embd", Some("hidden_size"), MAX_SIZE);
    let n_heads = keys.needed("n_heads", Some("num_attention_heads"), MAX_SIZE);
    let d_ff = keys.needed("intermediate_size", None, MAX_SIZE);
    let context = keys.needed("block_size", None, MAX_SIZE);
    let vocab = keys.needed("vocab_size", None, MAX_SIZE);
    // The rows of the embedding, if they are padded to a round number.
    let padded = keys.size("padded_vocab_size", MAX_SIZE);
    let prelude = keys.needed("n_layers_in_prelude", None, MAX_LAYERS);
    let core = keys.needed("n_layers_in_recurrent_block", None, MAX_LAYERS);
    let coda = keys.needed("n_layers_in_coda", None, MAX_LAYERS);
    structure(keys);
    let tied_head = tied_head(keys);
    let qk_bias = match keys.flag("qk_bias").unwrap_or(true) {
        true => QkBias::Qk,
        false => QkBias::None,
    };
    let rope_base = keys.number("rope_base").unwrap_or(50_000.0);
    let eps = keys.number("norm_eps").unwrap_or(1e-6);
    let recurrence = recurrence(keys, warnings);
    let orthogonal = keys.flag("init_orthogonal").unwrap_or(false);
    let state_init = state_init(keys);
    let (d_model, n_heads, vocab) = (d_model?, n_heads?, vocab?);
    let layers = LayersConfig {
        prelude: prelude?,
        core: core?,
        coda: coda?,
    };
    agree(keys, warnings, d_model, n_heads, layers);
    initial_values(keys, warnings, d_model);
    Some(ModelConfig {
        vocab_size: padded.unwrap_or(vocab),
        d_model,
        n_heads,
        n_kv_heads: n_heads,
        d_head: None,
        d_ff: d_ff?,
        context: context?,
        block: BlockKind::Sandwich,
        branch_scale: BranchScale::None,
        qk_bias,
        qk_norm: QkNorm::None,
        rope_base,
        rope_pairing: RopePairing::Adjacent,
        rope_scaling: None,
        tied_head,
        norm: NormConfig { learned: true, eps },
        layers,
        injection: InjectionKind::Linear,
        conditioning: ConditioningKind::None,
        loop_residual: ResidualKind::CarryLast,
        hyper_connections: None,
        lora: None,
        state_init,
        boundary_norm: BoundaryNorm::Coda,
        init: InitConfig {
            scheme: InitScheme::Takase,
            orthogonal,
        },
        recurrence,
        sparsity: None,
    })
}

/// Refuses every structure except the published one.
fn structure(keys: &mut Keys<'_>) {
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
}

fn state_init(keys: &mut Keys<'_>) -> StateInit {
    let law = keys.word("state_init").unwrap_or("like-init");
    let there = named(law).filter(|law| *law != StateInit::Input);
    there.unwrap_or_else(|| {
        let problem = format!("is {law:?}, which is not a known initial state");
        keys.refuse("state_init", &problem);
        StateInit::LikeInit
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
    let same_law = scheme
        .and_then(named)
        .filter(|_| another_law(scheme).is_none());
    let sampler = same_law.unwrap_or_else(|| {
        if let Some(scheme) = scheme {
            let why = another_law(Some(scheme)).unwrap_or("is unknown");
            warnings.push(format!(
                "{CONFIG_FILE}: sampling_scheme {scheme:?} {why}; training would draw depths by \
                 poisson-lognormal-filling"
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

/// Returns what a name means in the reference, if it stands for a different depth sampler in this
/// program.
fn another_law(scheme: Option<&str>) -> Option<&'static str> {
    match scheme? {
        "full" => Some(
            "has another meaning in the reference (n is 0, and k uniform from 1 to twice \
             mean_backprop_depth)",
        ),
        "geometric" => Some(
            "has another meaning in the reference (only n is geometric, and k uniform from 1 to twice \
             mean_backprop_depth)",
        ),
        _ => None,
    }
}

/// Checks keys that must agree with other keys.
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
        let problem =
            format!("is {kv}, but n_heads is {n_heads}; the reference has no grouped heads");
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
                "{CONFIG_FILE}: {key} is {written}, but the three stacks have {total} layers; the key is \
                 ignored"
            ));
        }
    }
}

/// Checks the keys of initial values. The reference's model uses the standard deviation for its
/// initial states. It multiplies embeddings by the square root of n_embd, regardless of the file.
fn initial_values(keys: &mut Keys<'_>, warnings: &mut Vec<String>, d_model: usize) {
    let width = d_model as f64;
    let near = |x: f64, y: f64| (x - y).abs() <= DERIVED_TOLERANCE * y;
    let values = keys.get("init_values").cloned();
    let value = |name: &str| values.as_ref()?.get(name)?.as_f64();
    if let Some(std) = value("std")
        && !near(std, (2.0 / (5.0 * width)).sqrt())
    {
        keys.refuse(
            "init_values.std",
            &format!("is {std}, not the square root of 2 / (5 n_embd)"),
        );
    }
    if let Some(factor) = value("embed_scale")
        && !near(factor, width.sqrt())
    {
        warnings.push(format!(
            "{CONFIG_FILE}: init_values.embed_scale is {factor}; the reference's model ignores this key, \
             and embeddings are multiplied by the square root of n_embd as in that model"
        ));
    }
    if let Some(word) = keys.word("init_strategy")
        && named(word) != Some(InitScheme::Takase)
    {
        warnings.push(format!(
            "{CONFIG_FILE}: init_strategy is {word:?}; the reference's model ignores this key, and the run \
             uses takase"
        ));
    }
}

/// Parses one of this program's names.
fn named<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(Value::String(word.to_owned())).ok()
}

#[cfg(test)]
mod tests;
