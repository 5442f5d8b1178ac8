//! Names what goes wrong in a run, from the metrics that it writes anyway.
//!
//! | failure | what it is |
//! |---|---|
//! | [`HiddenStateCollapse`](Failure::HiddenStateCollapse) | the states of all tokens have become one |
//! | [`IgnoredState`](Failure::IgnoredState) | the model has learned, and learned to do without its state |
//! | [`Divergence`](Failure::Divergence) | the loss rises and does not come back |
//! | [`LossSpike`](Failure::LossSpike) | the loss leaves the band of its recent values for a moment |
//!
//! The first two are the published failed runs of Geiping et al. 2025, arXiv 2502.05171, section 4.3 and
//! figure 5.
//!
//! In reading order:
//!
//! * [`failure`]: the failures, what a finding of one holds, and the verdict on a run
//! * [`config`]: thresholds and policies
//! * [`diagnosis`]: the records of a run, one after the other, in; findings out
//! * `rules`: one failure each, as a small state machine over numbers
//!
//! A [`Diagnosis`] sees nothing but [records](rondo_metrics::Record), so a training run and a reader of its
//! `metrics.jsonl` find the same. What to do about a finding is the caller's business: the crate holds
//! the policies and acts on none. No clock, no file, no randomness.

pub mod config;
pub mod diagnosis;
pub mod failure;
mod rules;

pub use config::{DiagnosisConfig, Policy};
pub use diagnosis::Diagnosis;
pub use failure::{Failure, Finding, Verdict};
