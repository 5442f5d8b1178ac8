//! Diagnoses the failures of a run from the metrics that the run writes.
//!
//! | failure | description |
//! |---|---|
//! | [`HiddenStateCollapse`](Failure::HiddenStateCollapse) | the states of all tokens have become equal |
//! | [`IgnoredState`](Failure::IgnoredState) | the model has learned to predict without its state |
//! | [`Divergence`](Failure::Divergence) | the loss rises and does not fall again |
//! | [`LossSpike`](Failure::LossSpike) | the loss leaves the band of its recent values for a moment |
//!
//! The first two are the failed runs that Geiping et al. published (2025, arXiv 2502.05171, section
//! 4.3 and figure 5).
//!
//! Reading order:
//!
//! * [`failure`]: the failures, the findings, and the verdict on a run
//! * [`config`]: thresholds and policies
//! * [`diagnosis`]: reads the records of a run one after another and returns findings
//! * `rules`: one small state machine for each failure
//!
//! # Limits
//!
//! A [`Diagnosis`] only reads [records](rondo_metrics::Record), so a training run and a later
//! reader of its `metrics.jsonl` get the same findings. The crate stores the policies but applies
//! none: the caller decides what to do about a finding. The crate uses no clock, no files and no
//! random numbers.

pub mod config;
pub mod diagnosis;
pub mod failure;
mod rules;

pub use config::{DiagnosisConfig, Policy};
pub use diagnosis::Diagnosis;
pub use failure::{Failure, Finding, Verdict};
