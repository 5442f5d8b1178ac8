//! Laws of the loss curve: fitted to runs, they predict the loss of a schedule that was never run.
//!
//! ```text
//! L(t) = L0 + A·S1(t)^−α − D(t)
//! ```
//!
//! with S1 the learning rate summed over all steps, and D the gain from the drops of the rate so
//! far; [`LawKind`] lists the forms of D.
//!
//! In reading order:
//!
//! * [`schedule`]: rates over the steps of a run, and their sums; [`curve`]: a schedule with the
//!   loss at each of its points; [`table`]: reads steps, rates and losses from a CSV table, as
//!   other programs export it
//! * [`law`]: a law with its constants; `tissue` and `multi_power`: the two forms of D; `blocks`: a
//!   cheap way for `multi_power` to sum over all pairs of steps
//! * [`fit`](mod@fit): fits the constants to curves, by Levenberg-Marquardt; `bounds` and `starts`:
//!   the ranges of the constants and their starting values; `problem`: the objective; `spread` and
//!   `profile`: how far each constant can be trusted
//! * [`score`](mod@score): how well a law predicts curves
//! * [`search`]: the schedule with the lowest predicted final loss; `knots`: a schedule given by
//!   its rates at a few steps; `descent`: steps down the gradient; `monotone`: the projection to
//!   rates that never rise
//! * [`rank`]: Spearman's rank correlation, for example between summed rates and final losses
//! * [`error`]: the errors in a curve, in a law's constants, or in a request
//!
//! Numbers in, numbers out: the crate uses neither models nor run directories, opens no file and
//! draws no picture. It uses no clock, no randomness and no threads, so the same curves give the
//! same law.

pub mod curve;
pub mod error;
pub mod fit;
pub mod law;
mod multi_power;
pub mod rank;
pub mod schedule;
pub mod score;
pub mod search;
pub mod table;
mod tissue;

pub use curve::{Curve, Point};
pub use error::LawError;
pub use fit::{Estimate, Fit, fit};
pub use law::{Law, LawKind};
pub use rank::{PValue, RankCorrelation, rank_correlation};
pub use schedule::{Schedule, sum_before_peak};
pub use score::{MeanScore, Score, Scores, score};
pub use search::{Found, Horizon, best_schedule};
