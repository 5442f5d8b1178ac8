//! One small state machine over numbers for each failure.

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

/// The change of a failure's state after a reading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// The failure is confirmed; it began at step `since`.
    Begins { since: u64, evidence: Vec<Evidence> },
    /// The failure is over.
    Ends,
}
