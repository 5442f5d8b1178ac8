//! `[model.hyper_connections]`: several states side by side.

use rondo_config::Report;
use rondo_config::report::within;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::depth::MAX_RECURRENCE;

/// The largest number of lanes.
const MOST_LANES: usize = 8;

/// Lanes that the iterations read from and write to; [`crate::lanes`] has the formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HyperConnections {
    /// N, the number of states side by side.
    #[schemars(range(min = 2, max = MOST_LANES))]
    pub lanes: usize,
    /// The number of iterations that have weights of their own. Later iterations use these weights
    /// again, from the first. Default: the mean recurrence.
    #[schemars(range(min = 1, max = MAX_RECURRENCE))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
}

impl Default for HyperConnections {
    fn default() -> Self {
        Self {
            lanes: 3,
            iterations: None,
        }
    }
}

impl HyperConnections {
    /// Returns the number of iterations with weights of their own, for a mean recurrence of `mean`.
    pub fn rows(self, mean: usize) -> usize {
        self.iterations.unwrap_or(mean)
    }

    /// Reports every violation by its key path below `[model.hyper_connections]`.
    pub(super) fn validate(self, report: Report<'_>) {
        within("lanes", self.lanes, 2..=MOST_LANES, report);
        if let Some(iterations) = self.iterations {
            within("iterations", iterations, 1..=MAX_RECURRENCE, report);
        }
    }
}
