//! Statistics of paired outcomes.
//!
//! The same items are scored under every condition, so two conditions are compared item by item.
//! Items that both answer right, or both answer wrong, say nothing about the difference; an
//! unpaired standard error is too wide if the conditions mostly agree.

mod bootstrap;
mod holm;
mod mcnemar;
mod wilson;

pub use bootstrap::{Bootstrap, Interval};
pub use holm::holm;
pub use mcnemar::McNemar;
pub use wilson::wilson;

/// The probability with which an interval contains the true value.
pub const LEVEL: f64 = 0.95;

/// The quantile of the normal distribution at (1 + [`LEVEL`]) / 2.
pub(crate) const QUANTILE: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod simulation;
