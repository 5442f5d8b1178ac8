//! Items of benchmarks, answered by a run at every recurrence depth.
//!
//! ```text
//! Σ_j ln p_r(t_j | t_<j)     of the tokens t_j of a choice, p_r the prediction after r iterations
//! ```
//!
//! `tokens` (how texts become tokens), `batches` (rows of unequal length together), [`scored`] (log-likelihoods at all
//! depths in one pass), [`controls`] (temperature and affine readout of each depth, fitted on documents), [`generated`]
//! (answers that are written, not chosen), [`predicted`] (every prediction of rows at one depth). What items are and how they are scored is rondo-tasks'.

mod batches;
pub mod controls;
pub mod generated;
pub mod predicted;
pub mod scored;
mod tokens;

pub use self::tokens::Reading;
