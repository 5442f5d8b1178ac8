//! Diagnoses the failures of a run from the metrics that it writes anyway.
//!
//! | failure | what it is |
//! |---|---|
//! | [`HiddenStateCollapse`](Failure::HiddenStateCollapse) | the states of all tokens have become equal |
//! | [`IgnoredState`](Failure::IgnoredState) | the model has learned to predict without its state |
//! | [`Divergence`](Failure::Divergence) | the loss rises and does not come back |
//! | [`LossSpike`](Failure::LossSpike) | the loss leaves the band of its recent values for a moment |
//!
//! The first two are the published failed runs of Geiping et al. 2025, arXiv 2502.05171, section 4.3 and
//! figure 5.
//!
//! In reading order:
//!
//! * [`failure`]: the failures, the findings, and the verdict on a run
//! * [`config`]: thresholds and policies
//! * [`diagnosis`]: reads the records of a run one after another and returns findings
//! * `rules`: one small state machine over numbers for each failure
//!
//! A [`Diagnosis`] only reads [records](rondo_metrics::Record), so a training run and a reader of
//! its `metrics.jsonl` get the same findings. The caller decides what to do about a finding: the
//! crate stores the policies and applies none. No clock, no file, no randomness.

pub mod config;
pub mod diagnosis;
pub mod failure;
mod rules;

pub use config::{DiagnosisConfig, Policy};
pub use diagnosis::Diagnosis;
pub use failure::{Failure, Finding, Verdict};
