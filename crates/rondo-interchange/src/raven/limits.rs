//! What the layout cannot express, and where the reference treats a model differently.

use rondo_model::config::{
    BlockKind, BoundaryNorm, InitScheme, InjectionKind, ModelConfig, QkBias, QkNorm, RopePairing,
    StateInit,
};
use rondo_model::depth::DepthSampler;

use crate::layout::word;

/// Returns every reason why the layout cannot express a model, each with its key.
pub(super) fn inexpressible(model: &ModelConfig) -> Vec<String> {
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
        model.injection.name().to_owned(),
        "the linear injection only",
    );
    only(
        model.conditioning.is_none(),
        "conditioning",
        model.conditioning.name().to_owned(),
        "iterations that are all the same",
    );
    only(
        model.branch_scale.is_none(),
        "branch_scale",
        model.branch_scale.name().to_owned(),
        "residual connections without factors",
    );
    only(
        model.lora.is_none(),
        "lora",
        "set".to_owned(),
        "the same matrices in every iteration",
    );
    only(
        model.hyper_connections.is_none(),
        "hyper_connections",
        "set".to_owned(),
        "one state",
    );
    only(
        model.loop_residual.is_plain(),
        "loop_residual",
        model.loop_residual.name().to_owned(),
        "the core's last output as the state only",
    );
    attention_elsewhere(model, &mut only);
    only(
        model.boundary_norm == BoundaryNorm::Coda,
        "boundary_norm",
        word(&model.boundary_norm),
        "its norm before the coda and after it",
    );
    only(
        model.state_init != StateInit::Input,
        "state_init",
        word(&model.state_init),
        "initial states that do not depend on the input",
    );
    only(
        model.sparsity.is_none(),
        "sparsity",
        "set".to_owned(),
        "attention without gates",
    );
    if scaled_otherwise(model) && model.tied_head {
        reasons.push(format!(
            "model.init.scheme is {}, which multiplies token embeddings by 1; the reference multiplies \
             them by the square root of d_model, and with model.tied_head the export cannot compensate",
            word(&model.init.scheme)
        ));
    }
    reasons
}

/// Passes every choice of attention to `only`, and says for each whether the reference supports it.
fn attention_elsewhere(model: &ModelConfig, only: &mut impl FnMut(bool, &str, String, &str)) {
    only(
        model.n_kv_heads == model.n_heads,
        "n_kv_heads",
        model.n_kv_heads.to_string(),
        "as many key as query heads",
    );
    only(
        model.d_head() * model.n_heads == model.d_model,
        "d_head",
        model.d_head().to_string(),
        "heads of d_model / n_heads",
    );
    only(
        model.qk_norm == QkNorm::None,
        "qk_norm",
        word(&model.qk_norm),
        "no norm of queries and keys",
    );
    only(
        model.qk_bias != QkBias::Qkv,
        "qk_bias",
        word(&model.qk_bias),
        "no biases on values",
    );
    only(
        model.rope_pairing == RopePairing::Adjacent,
        "rope_pairing",
        word(&model.rope_pairing),
        "rotary pairs of neighbours only",
    );
    only(
        model.rope_scaling.is_none(),
        "rope_scaling",
        "set".to_owned(),
        "unscaled frequencies",
    );
}

/// Returns whether the reference multiplies token embeddings by a different factor than the model.
fn scaled_otherwise(model: &ModelConfig) -> bool {
    (model.embedding_scale() - there(model).embedding_scale()).abs() > f64::EPSILON
}

/// Changes a model that the layout can express to the reference's form: with the reference's factor
/// for token embeddings, and with a depth sampler that the reference has.
pub(super) fn there(model: &ModelConfig) -> ModelConfig {
    let mut there = model.clone();
    there.init.scheme = InitScheme::Takase;
    if !knows(model.recurrence.sampler) {
        there.recurrence.sampler = DepthSampler::PoissonLognormalFilling;
    }
    there
}

/// Returns whether the reference has this depth sampler under the same name.
fn knows(sampler: DepthSampler) -> bool {
    match sampler {
        DepthSampler::PoissonLognormalFilling
        | DepthSampler::Fixed
        | DepthSampler::NonRecurrent => true,
        DepthSampler::PoissonTruncated
        | DepthSampler::Uniform
        | DepthSampler::Geometric
        | DepthSampler::Full => false,
    }
}

/// Returns how the reference would treat a model differently.
pub(super) fn differences(model: &ModelConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    if model.state_init != StateInit::LikeInit {
        warnings.push(format!(
            "model.state_init is {}; the reference's model draws its initial states by like-init \
             unless they are given",
            word(&model.state_init)
        ));
    }
    if scaled_otherwise(model) {
        warnings.push(format!(
            "model.init.scheme is {}: token embeddings are divided by the square root of d_model \
             on export, because the reference multiplies them by it; the reference also draws \
             initial states wider by this factor",
            word(&model.init.scheme)
        ));
    }
    if !knows(model.recurrence.sampler) {
        warnings.push(format!(
            "model.recurrence.sampler is {}, a law that the reference does not have; sampling_scheme \
             is written as {}, so the reference would draw depths by that law in training",
            word(&model.recurrence.sampler),
            word(&DepthSampler::PoissonLognormalFilling)
        ));
    }
    warnings
}

/// Returns the published shape.
#[cfg(test)]
pub(super) fn published() -> ModelConfig {
    let mut model = ModelConfig {
        vocab_size: 65_536,
        d_model: 5280,
        n_heads: 55,
        n_kv_heads: 55,
        d_ff: 17_920,
        ..ModelConfig::default()
    };
    (model.layers.prelude, model.layers.core, model.layers.coda) = (2, 4, 2);
    (model.recurrence.mean, model.recurrence.backprop_depth) = (32, 8);
    model
}

#[cfg(test)]
mod tests {
    use rondo_model::config::{NormConfig, RopeScaling};
    use rondo_model::sparsity::SparsityConfig;

    use super::*;
    use crate::element::Element;
    use crate::raven::description::describe;
    use crate::special::SpecialTokens;

    #[test]
    fn a_factor_of_one_has_no_place_beside_a_tied_head_and_is_written_as_the_references() {
        for scheme in [InitScheme::Scaled, InitScheme::Small] {
            let mut model = published();
            model.init.scheme = scheme;
            let reasons = inexpressible(&model);
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            assert!(reasons[0].contains("model.tied_head"), "{reasons:?}");
            model.tied_head = false;
            assert!(inexpressible(&model).is_empty());
            assert_eq!(differences(&model).len(), 1);
            let value = describe(&there(&model), Element::F32, &SpecialTokens::default());
            assert_eq!(value["init_strategy"], "takase");
            assert_eq!(value["tie_embeddings"], false);
            let scale = value["init_values"]["embed_scale"]
                .as_f64()
                .expect("a number");
            assert!((scale - 5280_f64.sqrt()).abs() < 1e-9, "{scale}");
        }
    }

    #[test]
    fn a_law_of_depth_that_the_reference_lacks_is_told_and_not_written() {
        for (sampler, told) in [
            (DepthSampler::PoissonLognormalFilling, 0),
            (DepthSampler::Fixed, 0),
            (DepthSampler::NonRecurrent, 0),
            (DepthSampler::Full, 1),
            (DepthSampler::Geometric, 1),
            (DepthSampler::Uniform, 1),
            (DepthSampler::PoissonTruncated, 1),
        ] {
            let mut model = published();
            model.recurrence.sampler = sampler;
            let warnings = differences(&model);
            assert_eq!(warnings.len(), told, "{warnings:?}");
            let value = describe(&there(&model), Element::F32, &SpecialTokens::default());
            let expected = match told {
                0 => word(&sampler),
                _ => "poisson-lognormal-filling".to_owned(),
            };
            assert_eq!(value["sampling_scheme"], expected);
        }
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
            n_kv_heads: 5,
            d_head: Some(98),
            qk_norm: QkNorm::Plain,
            qk_bias: QkBias::Qkv,
            rope_pairing: RopePairing::Halves,
            rope_scaling: Some(RopeScaling::Llama3 {
                factor: 8.0,
                low_frequency: 1.0,
                high_frequency: 4.0,
                original_context: 8192,
            }),
            boundary_norm: BoundaryNorm::Iteration,
            state_init: StateInit::Input,
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
            "d_head",
            "qk_norm",
            "qk_bias",
            "rope_pairing",
            "rope_scaling",
            "boundary_norm",
            "state_init",
            "sparsity",
        ];
        assert_eq!(keys, expected.map(|key| format!("model.{key}")));
    }
}
