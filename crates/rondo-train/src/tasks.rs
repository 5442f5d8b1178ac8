//! Evaluates benchmark items with a run, at every recurrence depth.
//!
//! ```text
//! Σ_j ln p_r(t_j | t_<j)   over the tokens t_j of a choice; p_r: the prediction after r iterations
//! ```
//!
//! * `tokens`: texts to tokens; `batches`: rows of unequal length in a batch
//! * [`scored`]: log-likelihoods at all depths in one pass; [`generated`]: answers that the model
//!   writes
//! * [`controls`]: a temperature and an affine map of the readout for each depth, fitted on
//!   documents
//! * [`predicted`]: every prediction for rows of tokens, at one depth
//!
//! The crate rondo-tasks defines the items and their scores.

mod batches;
pub mod controls;
pub mod generated;
pub mod predicted;
pub mod scored;
mod tokens;

pub use self::tokens::Reading;
