//! One failure each, as a small state machine over numbers.

mod collapse;
mod divergence;
mod ignored_state;
mod loss_spike;
mod recent;

pub(crate) use self::collapse::Collapse;
pub(crate) use self::divergence::Rising;
pub(crate) use self::ignored_state::{DepthLosses, IgnoredState};
pub(crate) use self::loss_spike::Spike;

use crate::failure::Evidence;

/// What a reading changes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// The failure is certain, and was there since that step.
    Begins { since: u64, evidence: Vec<Evidence> },
    /// The failure is over.
    Ends,
}
