//! `[distributed]`: how ranks add their gradients, and how long they wait for each other.

use std::time::Duration;

use rondo_config::Report;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[distributed]`: has no effect in a run of one process. Every key may change when a run resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DistributedConfig {
    /// The order in which gradients are added.
    pub reduce: Reduce,
    /// The seconds that a rank waits for the other ranks in a step. After this time the run ends; 0
    /// waits forever.
    pub timeout: u64,
    /// The seconds that a rank waits for the other ranks before the first step is done. This
    /// includes preparing data and compiling kernels.
    pub start_timeout: u64,
    /// Whether each rank keeps the moments of only some tensors, and updates only these tensors
    /// (ZeRO-1).
    pub shard_optimizer: bool,
    /// The type in which ranks send gradients; bf16 needs `reduce = "fast"`.
    pub gradient_dtype: GradientDtype,
}

/// The order in which the gradients of ranks are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reduce {
    /// Pairwise, in the order of micro-batches. The sum has the bits of one process if the number
    /// of micro-batches of each rank is a power of two.
    #[default]
    Ordered,
    /// In the order that the engine chooses.
    Fast,
}

/// The type in which ranks send gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GradientDtype {
    /// Unchanged.
    #[default]
    F32,
    /// Rounded to bf16, which halves the bytes.
    Bf16,
}

impl Default for DistributedConfig {
    fn default() -> Self {
        Self {
            reduce: Reduce::Ordered,
            timeout: 300,
            start_timeout: 900,
            shard_optimizer: false,
            gradient_dtype: GradientDtype::F32,
        }
    }
}

impl DistributedConfig {
    /// Reports every violation with its key below `[distributed]`.
    pub fn validate(&self, report: Report<'_>) {
        if self.gradient_dtype == GradientDtype::Bf16 && self.reduce == Reduce::Ordered {
            report(
                "gradient_dtype",
                "bf16 loses the bits that the ordered sum keeps; add distributed.reduce = \"fast\""
                    .to_owned(),
            );
        }
    }

    /// Returns how long a rank waits for the others in a step. `None` waits forever.
    pub fn deadline(&self) -> Option<Duration> {
        bounded(self.timeout)
    }

    /// Returns how long a rank waits for the others before the first step is done. `None` waits
    /// forever.
    pub fn start_deadline(&self) -> Option<Duration> {
        bounded(self.start_timeout)
    }
}

fn bounded(seconds: u64) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_for_the_fast_sum() {
        let keys = |reduce, gradient_dtype| {
            let mut keys = Vec::new();
            let config = DistributedConfig {
                reduce,
                gradient_dtype,
                ..DistributedConfig::default()
            };
            config.validate(&mut |key, _| keys.push(key.to_owned()));
            keys
        };
        assert_eq!(
            keys(Reduce::Ordered, GradientDtype::Bf16),
            ["gradient_dtype"]
        );
        assert!(keys(Reduce::Fast, GradientDtype::Bf16).is_empty());
        assert!(keys(Reduce::Ordered, GradientDtype::F32).is_empty());
    }

    #[test]
    fn no_seconds_are_no_deadline() {
        let config = DistributedConfig {
            timeout: 0,
            ..DistributedConfig::default()
        };
        assert_eq!(config.deadline(), None);
        assert_eq!(config.start_deadline(), Some(Duration::from_mins(15)));
    }
}
