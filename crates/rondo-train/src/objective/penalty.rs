//! `train.penalty`: a penalty on the last state of the loop. After a warm-up it has the weight w in
//! the loss. The formulas are in [`rondo_model::penalty`].

use burn::tensor::Device;
use rondo_config::Report;
use rondo_config::report::positive;
use rondo_model::config::{BlockKind, BoundaryNorm, ModelSection};
use rondo_model::penalty::{Penalty, Weighted, direction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::device::PrecisionKind;

/// The kind of the penalty, with its options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PenaltyConfig {
    /// `‖(f(x + εv) − f(x))/ε‖²`: how much an iteration f amplifies a random direction v at the
    /// last state x (STARS, arXiv 2605.26733, with finite differences).
    Jacobian(JacobianPenalty),
    /// The mean of the squares of the last state (after arXiv 2606.24898).
    Norm(NormPenalty),
    /// The mean of `(f(x) − x)²`: how far one more iteration f moves the last state x.
    FixedPoint(FixedPointPenalty),
}

/// The options of the Jacobian penalty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JacobianPenalty {
    /// The weight w. The loss is (1 − w) times the cross entropy plus w times the penalty.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub weight: f64,
    /// The number of steps at the start without the penalty.
    pub warmup: u64,
    /// ε, the distance by which the state of a micro-batch is moved.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub epsilon: f64,
}

impl Default for JacobianPenalty {
    fn default() -> Self {
        Self {
            weight: WEIGHT,
            warmup: 0,
            epsilon: 0.01,
        }
    }
}

/// The options of the penalty on the size of the last state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NormPenalty {
    /// The weight w. The loss is (1 − w) times the cross entropy plus w times the penalty.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub weight: f64,
    /// The number of steps at the start without the penalty.
    pub warmup: u64,
}

/// The options of the penalty on one more iteration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FixedPointPenalty {
    /// The weight w. The loss is (1 − w) times the cross entropy plus w times the penalty.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub weight: f64,
    /// The number of steps at the start without the penalty.
    pub warmup: u64,
}

/// The default weight, which is that of STARS (arXiv 2605.26733).
const WEIGHT: f64 = 0.1;

impl Default for NormPenalty {
    fn default() -> Self {
        Self {
            weight: WEIGHT,
            warmup: 0,
        }
    }
}

impl Default for FixedPointPenalty {
    fn default() -> Self {
        Self {
            weight: WEIGHT,
            warmup: 0,
        }
    }
}

/// Identifies the micro-batch for which a penalty is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The seed of the run.
    pub(crate) seed: u64,
    /// The step of the micro-batch.
    pub(crate) step: u64,
    /// The number of the micro-batch since the start of the run.
    pub(crate) number: u64,
    /// The shape of the micro-batch's state, `[batch, seq, d_model]`.
    pub(crate) shape: [usize; 3],
}

impl PenaltyConfig {
    /// Returns the weight after the warm-up, and the length of the warm-up in steps.
    fn common(&self) -> (f64, u64) {
        match self {
            Self::Jacobian(JacobianPenalty { weight, warmup, .. })
            | Self::Norm(NormPenalty { weight, warmup })
            | Self::FixedPoint(FixedPointPenalty { weight, warmup }) => (*weight, *warmup),
        }
    }

    /// Returns the length of the warm-up, in steps.
    pub fn warmup(&self) -> u64 {
        self.common().1
    }

    /// Returns the weight w at step `step`, counted from 1. During the warm-up it is 0.
    pub fn weight_at(&self, step: u64) -> f64 {
        let (weight, warmup) = self.common();
        if step > warmup { weight } else { 0.0 }
    }

    /// Returns the number of iterations with gradient that the penalty adds to the pass of a
    /// micro-batch.
    pub fn iterations(&self) -> usize {
        match self {
            Self::Jacobian(_) => 2,
            Self::FixedPoint(_) => 1,
            Self::Norm(_) => 0,
        }
    }

    /// Returns the penalty of a micro-batch, on the device. `None` during the warm-up.
    pub(crate) fn at(&self, place: Place, device: &Device) -> Option<Weighted> {
        let weight = self.weight_at(place.step);
        if weight <= 0.0 {
            return None;
        }
        let penalty = match self {
            Self::Jacobian(JacobianPenalty { epsilon, .. }) => Penalty::Jacobian {
                direction: Box::new(direction(place.seed, place.number, place.shape, device)),
                epsilon: *epsilon,
            },
            Self::Norm(_) => Penalty::Norm,
            Self::FixedPoint(_) => Penalty::FixedPoint,
        };
        Some(Weighted { penalty, weight })
    }

    /// Reports values that are out of range.
    pub(super) fn validate(&self, report: Report<'_>) {
        let (weight, _) = self.common();
        if !(weight > 0.0 && weight < 1.0) {
            report(
                "weight",
                format!(
                    "must be more than 0 and less than 1, found {weight}; without a penalty leave [train.penalty] out"
                ),
            );
        }
        if let Self::Jacobian(JacobianPenalty { epsilon, .. }) = self {
            positive("epsilon", *epsilon, report);
        }
    }

    /// Reports models for which the penalty would measure something else.
    pub(super) fn validate_on(
        &self,
        model: &ModelSection,
        precision: PrecisionKind,
        report: Report<'_>,
    ) {
        let moves_state = self.iterations() > 0;
        if moves_state && model.hyper_connections.is_some() {
            report(
                "kind",
                "an iteration reads lanes, but this penalty is defined on their sum; take norm, or leave \
                 [model.hyper_connections] out"
                    .into(),
            );
        }
        match self {
            Self::Jacobian(_) => {
                if model.sparsity.is_some() {
                    report(
                        "kind",
                        "not with gates: where one opens between x and x + εv, its jump is divided by ε; take norm or \
                         fixed-point, or leave [model.sparsity] out"
                            .into(),
                    );
                }
                if precision != PrecisionKind::F32 {
                    report(
                        "kind",
                        format!(
                            "products in {} round more than εv moves; set device.precision = \"f32\"",
                            precision.name()
                        ),
                    );
                }
            }
            Self::Norm(_) if state_is_normed(model) => report(
                "kind",
                "the last state of this model is the output of a norm, so its mean square is that of the norm's scale; \
                 choose a model.boundary_norm other than iteration, and a block without a norm at its end"
                    .into(),
            ),
            Self::Norm(_) | Self::FixedPoint(_) => {}
        }
    }
}

/// Returns whether the last state of the loop is the output of a norm.
fn state_is_normed(model: &ModelSection) -> bool {
    let ends_with_norm = match model.block {
        BlockKind::Sandwich | BlockKind::PostNorm => true,
        BlockKind::PreNorm | BlockKind::BranchSandwich | BlockKind::BranchPostNorm => false,
    };
    let is_output = model.hyper_connections.is_none()
        && model.loop_residual.is_plain()
        && !model.conditioning.reads_depth();
    is_output && (ends_with_norm || model.boundary_norm == BoundaryNorm::Iteration)
}

#[cfg(test)]
mod tests {
    use crate::config::RunConfig;

    /// Reads the configuration of a run with a penalty. `rest` sets other keys.
    fn read(penalty: &str, rest: &[&str]) -> Result<RunConfig, String> {
        let mut set = vec![format!("train.penalty={penalty}")];
        set.extend(rest.iter().map(ToString::to_string));
        let text = "[train]\nsteps = 10\nseq = 8\n";
        RunConfig::read("a.toml", text, &set).map_err(|error| error.to_string())
    }

    #[test]
    fn the_weight_begins_after_the_warmup_and_a_penalty_that_never_does_is_told() {
        let config = read("{kind='jacobian',weight=0.25,warmup=3}", &[]).expect("valid");
        let penalty = config.train.penalty.as_ref().expect("it is configured");
        let weights: Vec<f64> = (1..=5).map(|step| penalty.weight_at(step)).collect();
        assert_eq!(weights, [0.0, 0.0, 0.0, 0.25, 0.25]);
        assert!(config.warnings(config.extent(8)).is_empty());
        let late = read("{kind='jacobian',warmup=10}", &[]).expect("valid");
        let told = late.warnings(late.extent(8));
        assert!(
            told[0].starts_with("train.penalty.warmup: the penalty never counts"),
            "{told:?}"
        );
    }

    #[test]
    fn what_does_not_go_with_a_penalty_is_refused_with_a_reason() {
        for (penalty, rest, parts) in [
            (
                "{kind='jacobian',weight=0}",
                &[][..],
                ["train.penalty.weight", "less than 1"],
            ),
            (
                "{kind='norm',weight=1.0}",
                &["model.block='pre-norm'"],
                ["train.penalty.weight", "found 1"],
            ),
            (
                "{kind='jacobian',epsilon=0.0}",
                &[],
                ["train.penalty.epsilon", "positive"],
            ),
            ("{kind='norm'}", &[], ["train.penalty.kind", "scale"]),
            (
                "{kind='norm'}",
                &["model.block='pre-norm'", "model.boundary_norm='iteration'"],
                ["train.penalty.kind", "scale"],
            ),
            (
                "{kind='jacobian'}",
                &["model.sparsity={}"],
                ["train.penalty.kind", "gates"],
            ),
            (
                "{kind='jacobian'}",
                &["device.precision='bf16'"],
                ["train.penalty.kind", "bf16"],
            ),
            (
                "{kind='fixed-point'}",
                &["model.hyper_connections={lanes=2}"],
                ["train.penalty.kind", "lanes"],
            ),
        ] {
            let told = read(penalty, rest).expect_err(penalty);
            let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                parts.iter().all(|part| told.contains(part)),
                "{penalty}, {rest:?}: {told}"
            );
        }
        for (penalty, rest) in [
            ("{kind='jacobian'}", &[][..]),
            ("{kind='fixed-point'}", &["model.sparsity={}"]),
            ("{kind='norm'}", &["model.block='branch-sandwich'"]),
            ("{kind='norm'}", &["model.hyper_connections={lanes=2}"]),
        ] {
            read(penalty, rest).unwrap_or_else(|told| panic!("{penalty}, {rest:?}: {told}"));
        }
    }
}
