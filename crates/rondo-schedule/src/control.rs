//! Adapts the strength R of a penalty so that the penalty becomes as small as possible while the
//! cross entropy stays at a target τ.
//!
//! ```text
//! u = ln R;   C ← α·C + (1 − α)·(CE − τ);   u ← u − κ·C;   loss = CE + R · density
//! ```
//!
//! This is the Lagrangian of the problem "least density with CE ≤ τ", divided by its multiplier
//! `λ = 1 / R`. While CE is below τ, R grows, in the end exponentially. While CE is above τ, R
//! falls within a few steps until CE has come back to τ (SPARTAN, Lei et al. 2024, arXiv
//! 2411.06890; GECO, Rezende & Viola 2018, arXiv 1810.00597).
//!
//! In reading order:
//!
//! * [`config`]: smoothing, bounds, the rule of the step and the target
//! * [`target`]: how τ is determined
//! * [`update`]: the rules by which u changes; [`update::pi`]: a rule with damping
//! * [`controller`]: turns observed cross entropies into strengths, and holds the state
//!
//! The rule above integrates an average. It cycles around τ if its rates κ are too large for the
//! delay with which the penalty takes effect. [`update::pi`] is a damped rule, νPI.
//!
//! A [`Controller`] gets one number per observation and no gradient, so it works with any penalty.
//! It uses neither runs nor schedules.

pub mod config;
pub mod controller;
pub mod target;
pub mod update;

pub use config::{Constraint, ControlConfig};
pub use controller::{ControlError, Controller, ControllerReading, ControllerState};
pub use target::Target;
pub use update::Update;
