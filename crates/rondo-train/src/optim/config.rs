//! `[optimizer]`: the kind of optimizer and its constants.

use rondo_config::Report;
use rondo_config::report::{fraction, positive, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adamw::AdamW;
use super::muon::Muon;
use super::raven_adam::RavenAdam;

/// The maximum number of Newton–Schulz iterations. More iterations would change nothing.
const MOST_ITERATIONS: usize = 64;

/// The kind of optimizer, with its constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// The Adam of the reference implementation: with update clipping, with atan2 instead of ε, and
    /// with decay per step.
    RavenAdam(RavenAdam),
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101).
    #[serde(rename = "adamw")]
    AdamW(AdamW),
    /// Muon for matrices, AdamW for all other parameters.
    Muon(Muon),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::AdamW(AdamW::default())
    }
}

impl OptimizerConfig {
    /// Reports every violation with its key below `[optimizer]`.
    pub fn validate(&self, report: Report<'_>) {
        let (beta1, beta2, decay) = match self {
            Self::RavenAdam(c) => (c.beta1, c.beta2, c.weight_decay),
            Self::AdamW(c) => (c.beta1, c.beta2, c.weight_decay),
            Self::Muon(c) => {
                fraction("momentum", c.momentum, report);
                (c.beta1, c.beta2, c.weight_decay)
            }
        };
        fraction("beta1", beta1, report);
        fraction("beta2", beta2, report);
        if !(decay.is_finite() && decay >= 0.0) {
            report("weight_decay", format!("must be 0 or more, found {decay}"));
        }
        let eps = match self {
            Self::RavenAdam(_) => return,
            Self::AdamW(c) => c.eps,
            Self::Muon(c) => c.eps,
        };
        positive("eps", eps, report);
        if let Self::Muon(Muon { iterations, .. }) = self {
            within("iterations", *iterations, 1..=MOST_ITERATIONS, report);
        }
    }
}
