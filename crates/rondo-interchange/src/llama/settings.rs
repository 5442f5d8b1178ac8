//! Conversion of `config.json` to a configuration.

use rondo_model::config::{
    BranchScale, ConditioningKind, InitConfig, InitScheme, InjectionKind, LayersConfig,
    ModelConfig, NormConfig, ResidualKind, RopePairing, RopeScaling, StateInit,
};
use rondo_model::depth::{DepthSampler, MAX_RECURRENCE, Recompute, RecurrenceConfig};
use rondo_schedule::CurriculumConfig;
use serde_json::{Map, Value, json};

use super::Kind;
use crate::keys::{Keys, MAX_SIZE};
use crate::settings::CONFIG_FILE;

/// The maximum number of layers in a stack.
const MAX_LAYERS: usize = 1 << 12;
/// The base of the rotary embedding if the file does not contain it.
const DEFAULT_BASE: f64 = 10_000.0;

/// Reads the model; `None` if a size is missing.
pub(super) fn model(
    kind: Kind,
    keys: &mut Keys<'_>,
    warnings: &mut Vec<String>,
) -> Option<ModelConfig> {
    let d_model = keys.needed("hidden_size", None, MAX_SIZE);
    let n_heads = keys.needed("num_attention_heads", None, MAX_SIZE);
    // A key is required if the library's class uses a fixed number as its default. The other keys
    // have defaults that follow from other keys.
    let (kv_heads, d_head) = match kind {
        Kind::Qwen3 => (
            keys.needed("num_key_value_heads", None, MAX_SIZE),
            keys.needed("head_dim", None, MAX_SIZE),
        ),
        Kind::Qwen2 => (
            keys.needed("num_key_value_heads", None, MAX_SIZE),
            keys.size("head_dim", MAX_SIZE),
        ),
        _ => (
            keys.size("num_key_value_heads", MAX_SIZE),
            keys.size("head_dim", MAX_SIZE),
        ),
    };
    let d_ff = keys.needed("intermediate_size", None, MAX_SIZE);
    let context = keys.needed("max_position_embeddings", None, MAX_SIZE);
    let vocab = keys.needed("vocab_size", None, MAX_SIZE);
    let layers = keys.needed("num_hidden_layers", None, MAX_LAYERS);
    structure(kind, keys);
    let tied_head = keys.flag("tie_word_embeddings").unwrap_or(false);
    let eps = keys.number("rms_norm_eps").unwrap_or(kind.default_eps());
    let (rope_base, rope_scaling) = rotary(keys);
    let steps = steps(kind, keys, warnings);
    let (d_model, n_heads) = (d_model?, n_heads?);
    Some(ModelConfig {
        vocab_size: vocab?,
        d_model,
        n_heads,
        n_kv_heads: kv_heads.unwrap_or(n_heads),
        d_head: d_head.filter(|d_head| d_head.checked_mul(n_heads) != Some(d_model)),
        d_ff: d_ff?,
        context: context?,
        block: kind.block(),
        branch_scale: BranchScale::None,
        qk_bias: kind.qk_bias(),
        qk_norm: kind.qk_norm(),
        rope_base,
        rope_pairing: RopePairing::Halves,
        rope_scaling,
        tied_head,
        norm: NormConfig { learned: true, eps },
        layers: LayersConfig {
            prelude: 0,
            core: layers?,
            coda: 0,
        },
        injection: InjectionKind::None,
        conditioning: ConditioningKind::None,
        loop_residual: ResidualKind::CarryLast,
        hyper_connections: None,
        lora: None,
        state_init: StateInit::Input,
        boundary_norm: kind.boundary_norm(),
        // Token embeddings have the factor 1.
        init: InitConfig {
            scheme: InitScheme::Scaled,
            orthogonal: false,
        },
        recurrence: RecurrenceConfig {
            mean: steps,
            backprop_depth: steps.max(1),
            max: MAX_RECURRENCE,
            sampler: DepthSampler::Fixed,
            recompute: Recompute::None,
            curriculum: CurriculumConfig::default(),
        },
        sparsity: None,
    })
}

/// Refuses unsupported activations, windows and classes.
fn structure(kind: Kind, keys: &mut Keys<'_>) {
    keys.one_of("hidden_act", &["silu"]);
    let class = json!([kind.architecture()]);
    if let Some(classes) = keys.get("architectures")
        && *classes != class
    {
        keys.refuse("architectures", &format!("must be {class}, is {classes}"));
    }
    if let Some(types) = keys.get("layer_types") {
        let is_full = |one: &Value| one == "full_attention";
        if !types.as_array().is_some_and(|all| all.iter().all(is_full)) {
            let problem = format!("is {types}; only full_attention can be represented");
            keys.refuse("layer_types", &problem);
        }
    }
}

/// Returns how many times the stack runs.
fn steps(kind: Kind, keys: &mut Keys<'_>, warnings: &mut Vec<String>) -> usize {
    if kind != Kind::Ouro {
        return 1;
    }
    if let Some(threshold) = keys.number("early_exit_threshold").filter(|it| *it < 1.0) {
        warnings.push(format!(
            "{CONFIG_FILE}: early_exit_threshold is {threshold}, but this program runs every step"
        ));
    }
    keys.needed("total_ut_steps", None, MAX_SIZE).unwrap_or(1)
}

/// Reads base and scaling of the rotary embedding. Newer files have both in one table of keys.
fn rotary(keys: &mut Keys<'_>) -> (f64, Option<RopeScaling>) {
    let base = keys.number("rope_theta");
    let mut table = None;
    for key in ["rope_scaling", "rope_parameters"] {
        match keys.get(key) {
            None => {}
            Some(Value::Object(found)) => table = Some((key, found)),
            Some(other) => keys.refuse(key, &format!("must be a table, is {other}")),
        }
    }
    let Some((key, table)) = table else {
        return (base.unwrap_or(DEFAULT_BASE), None);
    };
    let base = table.get("rope_theta").and_then(Value::as_f64).or(base);
    let base = base.unwrap_or(DEFAULT_BASE);
    let rule = table.get("rope_type").or(table.get("type"));
    match rule.and_then(Value::as_str) {
        Some("default") => (base, None),
        Some("llama3") => (base, llama3(key, table, keys)),
        _ => {
            let found = rule.map_or_else(|| "missing".to_owned(), Value::to_string);
            let problem = format!("has rope_type {found}; only \"llama3\" can be represented");
            keys.refuse(key, &problem);
            (base, None)
        }
    }
}

/// Reads the parameters of Llama 3's scaling.
fn llama3(
    key: &'static str,
    table: &Map<String, Value>,
    keys: &mut Keys<'_>,
) -> Option<RopeScaling> {
    let mut number = |name: &str| {
        let found = table.get(name).and_then(Value::as_f64);
        if found.is_none() {
            keys.refuse(key, &format!("has no number {name}"));
        }
        found
    };
    let [factor, low, high] = ["factor", "low_freq_factor", "high_freq_factor"].map(&mut number);
    let name = "original_max_position_embeddings";
    let context = table
        .get(name)
        .and_then(Value::as_u64)
        .filter(|context| *context > 0);
    if context.is_none() {
        let found = table
            .get(name)
            .map_or_else(|| "missing".to_owned(), Value::to_string);
        keys.refuse(
            key,
            &format!("has {name} {found}; it must be a whole number of at least 1"),
        );
    }
    Some(RopeScaling::Llama3 {
        factor: factor?,
        low_frequency: low?,
        high_frequency: high?,
        original_context: context? as usize,
    })
}
