//! Benchmark items, answered by a run at every recurrence depth.
//!
//! ```text
//! Σ_j ln p_r(t_j | t_<j)   over the tokens t_j of a choice; p_r: the prediction after r iterations
//! ```
//!
//! * `tokens`: texts to tokens; `batches`: rows of unequal length in a batch
//! * [`scored`]: log-likelihoods at all depths in one pass; [`generated`]: written answers
//! * [`controls`]: temperature and affine readout of each depth, fitted on documents
//! * [`predicted`]: every prediction of rows at one depth
//!
//! rondo-tasks defines items and their scores.

mod batches;
pub mod controls;
pub mod generated;
pub mod predicted;
pub mod scored;
mod tokens;

pub use self::tokens::Reading;
