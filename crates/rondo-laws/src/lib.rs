//! Laws.
pub mod curve;
pub mod error;
pub mod fit;
pub mod law;
mod multi_power;
pub mod schedule;
pub mod score;
pub mod table;
mod tissue;
pub use curve::{Curve, Point};
pub use error::LawError;
pub use fit::{Estimate, Fit, fit};
pub use law::{Law, LawKind};
pub use schedule::{Schedule, sum_before_peak};
pub use score::{Score, Scores, score};
