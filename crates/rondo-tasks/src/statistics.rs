//! Statistics of paired outcomes.
//!
//! The same items are scored under every condition, so two conditions can be compared item by item.
//! Items that both conditions answer right, or both wrong, say nothing about the difference. An
//! unpaired standard error is too wide if the conditions mostly agree.

mod bootstrap;
mod holm;
mod mcnemar;
mod wilson;

pub use bootstrap::{Bootstrap, Interval};
pub use holm::holm;
pub use mcnemar::McNemar;
pub use wilson::wilson;

/// The probability with which a confidence interval contains the true value.
pub const LEVEL: f64 = 0.95;

/// The quantile of the normal distribution at (1 + [`LEVEL`]) / 2.
pub(crate) const QUANTILE: f64 = 1.959_963_984_540_054;

#[cfg(test)]
mod simulation;
