//! Adapts the strength R of a penalty so that the penalty falls as far as it can while cross entropy
//! stays at a target τ.
//!
//! ```text
//! u = ln R;   C ← α·C + (1 − α)·(CE − τ);   u ← u − κ·C;   loss = CE + R · density
//! ```
//!
//! It is the Lagrangian of "least density with CE ≤ τ", divided by its multiplier λ = 1 / R: below τ
//! R grows, in the end exponentially; above τ it collapses within few steps, until CE is back
//! (SPARTAN, Lei et al. 2024, arXiv 2411.06890; GECO, Rezende & Viola 2018, arXiv 1810.00597).
//!
//! In reading order:
//!
//! * [`config`]: smoothing, bounds, the rule of the step and the target
//! * [`target`]: where τ comes from
//! * [`update`]: how u moves; [`update::pi`]: with damping
//! * [`controller`]: cross entropies in, strengths out; its state
//!
//! This rule integrates an average, and cycles around τ where its rates are too large for the lag of
//! the penalty. [`update::pi`] is a rule with damping, νPI.
//!
//! A [`Controller`] sees one number per observation and no gradient, so it serves any penalty. It knows no run and no
//! schedule.

pub mod config;
pub mod controller;
pub mod target;
pub mod update;

pub use config::{Constraint, ControlConfig};
pub use controller::{ControlError, Controller, ControllerReading, ControllerState};
pub use target::Target;
pub use update::Update;
