//! Quantities that change over the steps of a run: the learning rate, the depth of the recurrence,
//! and the strength of a penalty.
//!
//! The learning rate of step t, with peak η, floor η_min, warm-up w and a shape f; t counts from 1:
//!
//! ```text
//! lr(t) = η·t/w                        t ≤ w
//! lr(t) = η_min + (η − η_min)·f(t)     t > w
//! ```
//!
//! In reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | `length` | [`Length`]: a length of a run in steps, tokens or as a fraction of the [`Run`] |
//! | `config` | [`ScheduleConfig`]: the configuration; `validate` reports every violation |
//! | `shape` | [`Shape`]: the curve after the warm-up, with a formula for each shape |
//! | `decay` | [`Decay`]: the form of a fall, part of a trapezoid |
//! | `cycle` | [`Wave`]: the form of a cycle, part of a cyclic shape |
//! | `points` | [`Point`]: a point of a piecewise shape |
//! | `schedule` | [`Schedule`]: a schedule in one run; `rate` returns the rate of a step |
//! | `rate_sum` | [`RateSum`]: Σ η_t, with compensated rounding errors |
//! | `warnings` | [`seam_warning`], `ScheduleConfig::warnings`: parts of a schedule that a run does not reach |
//! | `curriculum` | [`CurriculumConfig`]: how recurrence depth and backprop depth rise in a run |
//! | [`control`] | [`control::Controller`]: a penalty's strength, from observed cross entropies |
//!
//! Everything except [`control`] is a pure function of configuration, run and step: a resumed run
//! gets the same numbers as an uninterrupted run. A controller has a state, which is stored in the
//! checkpoint. The crate uses no model, no tensor, no optimizer, no clock and no file, and draws no
//! random number.

mod config;
pub mod control;
mod curriculum;
mod cycle;
mod decay;
mod length;
mod points;
mod rate_sum;
mod schedule;
mod shape;
#[cfg(test)]
mod tests;
mod warnings;

pub use config::ScheduleConfig;
pub use curriculum::{CurriculumConfig, Ramp, Rise};
pub use cycle::Wave;
pub use decay::Decay;
pub use length::{Length, Run};
pub use points::Point;
pub use rate_sum::RateSum;
pub use schedule::Schedule;
pub use shape::Shape;
pub use warnings::seam_warning;
