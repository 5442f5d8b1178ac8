//! Statistics of outcomes that come in pairs.
//!
//! The same items are scored under every condition, so two conditions are compared item by item. What both answer right
//! or both answer wrong says nothing about their difference, and an unpaired standard error is too wide where they
//! mostly agree.

mod bootstrap;
mod holm;
mod mcnemar;
mod wilson;

pub use bootstrap::{Bootstrap, Interval};
pub use holm::holm;
pub use mcnemar::McNemar;
pub use wilson::wilson;

/// The share of intervals that cover what they estimate.
pub const LEVEL: f64 = 0.95;

/// The quantile of the normal distribution at (1 + [`LEVEL`]) / 2.
pub(crate) const QUANTILE: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod simulation;
