//! What a family cannot express.

use rondo_model::config::{
    BoundaryNorm, ConditioningKind, InitScheme, InjectionKind, ModelConfig, ResidualKind,
    RopePairing, StateInit,
};

use super::Kind;
use crate::layout::{Expressed, word};

/// Returns a model in the family's form, or every reason why the family cannot express it, each
/// with its key.
pub(super) fn express(kind: Kind, model: &ModelConfig) -> Result<Expressed, Vec<String>> {
    let reasons = inexpressible(kind, model);
    if !reasons.is_empty() {
        return Err(reasons);
    }
    let mut there = model.clone();
    there.init.scheme = InitScheme::Scaled;
    let mut warnings = Vec::new();
    if kind == Kind::Ouro {
        warnings.push(
            "model.early_exit_gate is written as zeros with early_exit_threshold 1: this program has no \
             learned exit gate, and with these values the reference runs every step"
                .to_owned(),
        );
    }
    Ok(Expressed {
        model: there,
        warnings,
    })
}

fn inexpressible(kind: Kind, model: &ModelConfig) -> Vec<String> {
    let family = kind.model_type();
    let mut reasons = Vec::new();
    let mut only = |holds: bool, key: &str, found: String, there: String| {
        if !holds {
            reasons.push(format!("model.{key} is {found}; {family} has {there}"));
        }
    };
    let (layers, none) = (model.layers, "0".to_owned());
    for (key, found, there) in [
        ("block", word(&model.block), word(&kind.block())),
        ("qk_norm", word(&model.qk_norm), word(&kind.qk_norm())),
        ("qk_bias", word(&model.qk_bias), word(&kind.qk_bias())),
        (
            "rope_pairing",
            word(&model.rope_pairing),
            word(&RopePairing::Halves),
        ),
        (
            "injection",
            model.injection.name().to_owned(),
            word(&InjectionKind::None),
        ),
        (
            "conditioning",
            word(&model.conditioning),
            word(&ConditioningKind::None),
        ),
        (
            "loop_residual",
            model.loop_residual.name().to_owned(),
            ResidualKind::CarryLast.name().to_owned(),
        ),
        (
            "state_init",
            word(&model.state_init),
            word(&StateInit::Input),
        ),
        ("layers.prelude", layers.prelude.to_string(), none.clone()),
        ("layers.coda", layers.coda.to_string(), none),
    ] {
        only(found == there, key, found, there);
    }
    let depth = model.recurrence.planned().total();
    let norms = match (kind, depth) {
        (Kind::Ouro, _) => vec![BoundaryNorm::Iteration],
        // If the stack runs once, both choices are the same: one norm at the end.
        _ => vec![BoundaryNorm::None, BoundaryNorm::Iteration],
    };
    only(
        norms.contains(&model.boundary_norm),
        "boundary_norm",
        word(&model.boundary_norm),
        word(&norms[0]),
    );
    only(
        kind == Kind::Ouro || depth == 1,
        "recurrence.mean",
        depth.to_string(),
        "1: its layers run once".to_owned(),
    );
    only(
        model.norm.learned,
        "norm.learned",
        "false".to_owned(),
        "norms with a learned scale".to_owned(),
    );
    only(
        model.branch_scale.is_none(),
        "branch_scale",
        model.branch_scale.name().to_owned(),
        "residual connections without factors".to_owned(),
    );
    only(
        model.lora.is_none(),
        "lora",
        "set".to_owned(),
        "the same matrices whenever a layer runs".to_owned(),
    );
    only(
        model.hyper_connections.is_none(),
        "hyper_connections",
        "set".to_owned(),
        "one state".to_owned(),
    );
    only(
        model.sparsity.is_none(),
        "sparsity",
        "set".to_owned(),
        "attention without gates".to_owned(),
    );
    only(
        !model.tied_head || (model.embedding_scale() - 1.0).abs() < f64::EPSILON,
        "init.scheme",
        word(&model.init.scheme),
        "a factor of 1 on token embeddings, and with a tied head the export cannot compensate"
            .to_owned(),
    );
    reasons
}
