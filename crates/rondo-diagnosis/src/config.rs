//! When a reading counts as a failure, and what a training run does about it.

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

/// `[diagnosis]`: one section per failure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiagnosisConfig {
    /// The states of all tokens become equal.
    pub hidden_state_collapse: CollapseConfig,
    /// The state is ignored.
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
    /// What to do.
    pub policy: Policy,
    /// The correlation from which the states count as equal.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub correlation: f64,
    /// The number of steps that it must last; the same number of steps below ends it.
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

/// `[diagnosis.ignored_state]`: the model is better than its reference, and no deeper evaluation is
/// better than its shallowest one. The reference is the unigram cross entropy, or the first
/// evaluation if that is unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct IgnoredStateConfig {
    /// What to do.
    pub policy: Policy,
    /// The largest `ln(perplexity@shallowest / perplexity@r)` that counts as no gain, in nats per token;
    /// twice as much ends it.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub gain: f64,
    /// The share of the reference to which the loss must have fallen.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    pub learned: f64,
    /// The number of consecutive evaluations that must show it.
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

/// `[diagnosis.divergence]`: the median of the recent losses stays above the lowest such median, or
/// rises at any time by ten times as much above the first loss. Steps with less than half the mean recurrence are ignored here and in `loss_spike`, because
/// their loss is that of a shallower model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DivergenceConfig {
    /// What to do.
    pub policy: Policy,
    /// The rise in nats per token.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub rise: f64,
    /// The number of steps that it must last.
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

/// `[diagnosis.loss_spike]`: one loss is far above the recent ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LossSpikeConfig {
    /// What to do.
    pub policy: Policy,
    /// Robust standard deviations above the median of the recent losses.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub deviations: f64,
    /// The least rise above that median in nats per token.
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

    /// Reports every violation by its key path below `[diagnosis]`.
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
