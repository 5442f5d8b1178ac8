//! The configuration of diagnosis: which readings count as a failure, and what a training run does
//! about a failure.

use rondo_config::Report;
use rondo_config::report::{at_least_one, positive, positive_fraction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What a training run does about a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Report it and continue.
    #[default]
    Warn,
    /// Report it, save a checkpoint and end the run.
    Stop,
    /// Do not report it during the run; the verdict still counts it.
    Off,
}

/// `[diagnosis]`: one section for each failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiagnosisConfig {
    /// The states of all tokens become equal.
    pub hidden_state_collapse: CollapseConfig,
    /// The model has learned to ignore its state.
    pub ignored_state: IgnoredStateConfig,
    /// The loss rises and stays high.
    pub divergence: DivergenceConfig,
    /// The loss rises for a moment.
    pub loss_spike: LossSpikeConfig,
}

/// `[diagnosis.hidden_state_collapse]`: `hidden_state_corr` stays near 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CollapseConfig {
    /// What a training run does about this failure.
    pub policy: Policy,
    /// The correlation from which the states count as equal.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub correlation: f64,
    /// The number of steps for which the correlation must stay high. The failure ends when the
    /// correlation stays lower for the same number of steps.
    pub steps: u64,
}

impl Default for CollapseConfig {
    fn default() -> Self {
        Self {
            policy: Policy::Warn,
            correlation: 0.97,
            steps: 30,
        }
    }
}

/// `[diagnosis.ignored_state]`: the model is better than a reference, but it is no better at
/// greater depths than at the shallowest evaluated depth. The reference is the unigram cross
/// entropy, or the loss of the first evaluation if the unigram cross entropy is unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IgnoredStateConfig {
    /// What a training run does about this failure.
    pub policy: Policy,
    /// The largest `ln(perplexity@shallowest / perplexity@r)` that counts as no gain, in nats per
    /// token. The failure ends when the gain is more than twice as large.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub gain: f64,
    /// The fraction of the reference to which the loss must have fallen.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub learned: f64,
    /// The number of consecutive evaluations that must show the failure.
    #[schemars(range(min = 1))]
    pub evaluations: u64,
}

impl Default for IgnoredStateConfig {
    fn default() -> Self {
        Self {
            policy: Policy::Warn,
            gain: 0.05,
            learned: 0.9,
            evaluations: 2,
        }
    }
}

/// `[diagnosis.divergence]`: the median of the recent losses stays higher than the lowest such
/// median by `rise`, for `steps` steps; or it exceeds the first loss by ten times `rise`, however
/// briefly. This rule and `loss_spike` ignore steps with less than half the mean recurrence,
/// because the loss of such a step is the loss of a shallower model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DivergenceConfig {
    /// What a training run does about this failure.
    pub policy: Policy,
    /// The rise that counts, in nats per token.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub rise: f64,
    /// The number of steps for which the rise must last.
    pub steps: u64,
}

impl Default for DivergenceConfig {
    fn default() -> Self {
        Self {
            policy: Policy::Warn,
            rise: 0.5,
            steps: 50,
        }
    }
}

/// `[diagnosis.loss_spike]`: a single loss is far above the recent losses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LossSpikeConfig {
    /// What a training run does about this failure.
    pub policy: Policy,
    /// The minimum rise above the median of the recent losses, in robust standard deviations of
    /// these losses.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub deviations: f64,
    /// The minimum rise above the same median, in nats per token.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub rise: f64,
}

impl Default for LossSpikeConfig {
    fn default() -> Self {
        Self {
            policy: Policy::Warn,
            deviations: 8.0,
            rise: 0.5,
        }
    }
}

impl DiagnosisConfig {
    /// Returns what to do about a failure.
    pub fn policy(&self, failure: Failure) -> Policy {
        match failure {
            Failure::HiddenStateCollapse => self.hidden_state_collapse.policy,
            Failure::IgnoredState => self.ignored_state.policy,
            Failure::Divergence => self.divergence.policy,
            Failure::LossSpike => self.loss_spike.policy,
        }
    }

    /// Reports every violation, with the path of its key below `[diagnosis]`.
    pub fn validate(&self, report: Report<'_>) {
        let correlation = self.hidden_state_collapse.correlation;
        for (key, value) in [
            ("hidden_state_collapse.correlation", correlation),
            ("ignored_state.learned", self.ignored_state.learned),
        ] {
            positive_fraction(key, value, report);
        }
        for (key, value) in [
            ("ignored_state.gain", self.ignored_state.gain),
            ("divergence.rise", self.divergence.rise),
            ("loss_spike.deviations", self.loss_spike.deviations),
            ("loss_spike.rise", self.loss_spike.rise),
        ] {
            positive(key, value, report);
        }
        let evaluations = self.ignored_state.evaluations;
        at_least_one("ignored_state.evaluations", evaluations, report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_out_of_range_are_reported_by_their_keys() {
        let mut config = DiagnosisConfig::default();
        let mut keys = Vec::new();
        config.validate(&mut |key, _| keys.push(key.to_owned()));
        assert!(keys.is_empty(), "{keys:?}");
        config.hidden_state_collapse.correlation = 1.5;
        config.ignored_state.gain = f64::NAN;
        config.ignored_state.evaluations = 0;
        config.loss_spike.rise = -1.0;
        config.validate(&mut |key, _| keys.push(key.to_owned()));
        let expected = [
            "hidden_state_collapse.correlation",
            "ignored_state.gain",
            "loss_spike.rise",
            "ignored_state.evaluations",
        ];
        assert_eq!(keys, expected);
    }
}
