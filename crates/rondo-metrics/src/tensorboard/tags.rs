//! Tags: the names of metrics in event files. `TensorBoard` groups tags by the part before the
//! slash.
//!
//! ```text
//! train/loss   val/loss@16   state/hidden_state_corr   iterations/recurrence   sparsity/sparsity   speed/step_seconds
//! ```
//!
//! The names in `metrics.jsonl` have no groups.

use crate::metric::Kind;
use crate::names::{
    CONSTRAINT_EMA, HIDDEN_STATE_CORR, ITERATION_CORR, LAST_HIDDEN_NORM, LAST_HIDDEN_TOKEN_CORR,
    MEMORY_BYTES, METRICS, MFU, NUM_STEPS_NO_GRAD, NUM_STEPS_WITH_GRAD, RECURRENCE, RECURRENT_DIFF,
    RECURRENT_RESIDUAL, RECURRENT_STATE_NORM, RECURRENT_STATE_TOKEN_CORR, REDUCE_SECONDS,
    REGULARISATION_STRENGTH, REL_RESIDUAL, SPARSITY, SPARSITY_EXPECTED, STEP_SECONDS,
    TARGET_CROSS_ENTROPY, TOKENS_PER_SECOND, VAL_SPARSITY, VAL_SPARSITY_LAYER, WAIT_SECONDS,
    WORLD_SIZE, describe,
};

/// The prefix of the tags under which the texts of samples are written.
pub(super) const SAMPLES: &str = "samples/";
/// The prefix of the tags of a run's last readings. `TensorBoard` sorts by tag, so it shows these
/// readings first beside the hyperparameters.
pub(super) const OUTCOMES: &str = "hparam/";
/// The tag of the configuration's text.
pub(super) const CONFIGURATION: &str = "configuration";
/// The group of validation metrics, and the prefix of their names.
const VALIDATION: &str = "val";

/// The special groups. Every other metric is in the group of its kind, `train` or `val`.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "state",
        &[
            HIDDEN_STATE_CORR.name(),
            RECURRENT_STATE_TOKEN_CORR.name(),
            LAST_HIDDEN_TOKEN_CORR.name(),
            ITERATION_CORR.name(),
            RECURRENT_STATE_NORM.name(),
            LAST_HIDDEN_NORM.name(),
            RECURRENT_DIFF.name(),
            RECURRENT_RESIDUAL.name(),
            REL_RESIDUAL.name(),
        ],
    ),
    (
        "iterations",
        &[
            NUM_STEPS_NO_GRAD.name(),
            NUM_STEPS_WITH_GRAD.name(),
            RECURRENCE.name(),
        ],
    ),
    (
        "sparsity",
        &[
            SPARSITY.name(),
            SPARSITY_EXPECTED.name(),
            VAL_SPARSITY.name(),
            VAL_SPARSITY_LAYER.name(),
            REGULARISATION_STRENGTH.name(),
            CONSTRAINT_EMA.name(),
            TARGET_CROSS_ENTROPY.name(),
        ],
    ),
    (
        "speed",
        &[
            TOKENS_PER_SECOND.name(),
            STEP_SECONDS.name(),
            MFU.name(),
            MEMORY_BYTES.name(),
            WORLD_SIZE.name(),
            REDUCE_SECONDS.name(),
            WAIT_SECONDS.name(),
        ],
    ),
];

/// Returns the tag of the metric `name` in records of a kind.
pub(super) fn tag(kind: Kind, name: &str) -> String {
    let base = describe(kind, name).map_or(name, |metric| metric.name);
    tag_of(kind, base, name)
}

/// Returns the tag of the metric `base`. `name` is the whole name, or the common beginning of the
/// metric's names.
pub(super) fn tag_of(kind: Kind, base: &str, name: &str) -> String {
    let group = GROUPS.iter().find(|(_, names)| names.contains(&base));
    match (group, kind) {
        (None, Kind::Eval) => {
            let short = name.strip_prefix("val_").unwrap_or(name);
            format!("{VALIDATION}/{short}")
        }
        (None, _) => format!("train/{name}"),
        (Some((group, _)), Kind::Eval) if is_trained(base) => format!("{group}/val_{name}"),
        (Some((group, _)), _) => format!("{group}/{name}"),
    }
}

/// Returns whether `base` is the name of a metric of training steps.
fn is_trained(base: &str) -> bool {
    METRICS
        .iter()
        .any(|metric| metric.kind == Kind::Train && metric.name == base)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::names::pattern;

    #[test]
    fn a_tag_is_the_name_behind_its_group() {
        for (kind, name, expected) in [
            (Kind::Train, "loss", "train/loss"),
            (Kind::Train, "lr", "train/lr"),
            (Kind::Train, "hidden_state_corr", "state/hidden_state_corr"),
            (Kind::Train, "recurrence", "iterations/recurrence"),
            (Kind::Train, "step_seconds", "speed/step_seconds"),
            (Kind::Train, "sparsity", "sparsity/sparsity"),
            (Kind::Eval, "val_loss@16", "val/loss@16"),
            (Kind::Eval, "val_cross_entropy", "val/cross_entropy"),
            (
                Kind::Eval,
                "val_cross_entropy.source.web",
                "val/cross_entropy.source.web",
            ),
            (Kind::Eval, "sparsity", "sparsity/val_sparsity"),
            (
                Kind::Eval,
                "sparsity.layer.core.0",
                "sparsity/sparsity.layer.core.0",
            ),
            // The next two are names of a later version.
            (Kind::Train, "new", "train/new"),
            (Kind::Eval, "new@4", "val/new@4"),
        ] {
            assert_eq!(tag(kind, name), expected);
        }
    }

    #[test]
    fn no_two_metrics_have_one_tag() {
        let tags = METRICS
            .iter()
            .map(|metric| tag_of(metric.kind, metric.name, &pattern(metric)));
        assert_eq!(tags.collect::<BTreeSet<_>>().len(), METRICS.len());
    }
}
