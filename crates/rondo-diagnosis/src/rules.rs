//! The rules: one small state machine for each failure.

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

/// How the state of a failure changes with a reading.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// The failure is confirmed; it began at step `since`.
    Begins { since: u64, evidence: Vec<Evidence> },
    /// The failure is over.
    Ends,
}
