//! Numbers in, pictures out: each picture is an SVG, a PNG and a CSV of the numbers that it shows.
//!
//! | picture | shows |
//! |---|---|
//! | [`convergence`](fn@convergence) | heat map of `‖s_i − s_N‖`: tokens against iterations |
//! | [`orbits`](fn@orbits) | trajectories of states in the planes of six principal components |
//! | [`exit_curve`](fn@exit_curve) | perplexity against mean iterations per token: fixed depths and exit criteria |
//! | [`exit_histogram`](fn@exit_histogram) | at which iteration tokens left the loop, for each criterion |
//! | [`training_dynamics`](fn@training_dynamics) | loss, correlation of hidden states and perplexity of runs, side by side |
//! | [`loss_vs_tokens`](fn@loss_vs_tokens) | unsmoothed training loss against steps and tokens |
//! | [`ppl_vs_tokens`](fn@ppl_vs_tokens) | validation perplexity at each recurrence depth against steps and tokens |
//! | [`depth_reach`](fn@depth_reach) | accuracy of a depth task by position, at each recurrence depth |
//! | [`depth_histogram`](fn@depth_histogram) | recurrence depths that training drew, with their distribution |
//! | [`per_iteration`](fn@per_iteration) | token correlation, residual and norm of the state by iteration |
//! | [`depth_perplexity`](fn@depth_perplexity) | perplexity of checkpoints or runs against recurrence depth |
//! | [`benchmarks`](fn@benchmarks) | accuracy of tasks and strata at each recurrence depth, with intervals |
//! | [`depth_controls`](fn@depth_controls) | loss at each recurrence depth, without and with a readout fitted at that depth |
//! | [`lr_schedules`](fn@lr_schedules) | learning-rate schedules, and the loss of each against its summed rate |
//! | [`schedule`](fn@schedule) | learning rates, their sums and curricula of runs that are not trained yet |
//! | [`sparsity`](fn@sparsity) | edges kept, strength of the regularisation and cross entropy of runs |
//! | [`field_sheet`](fn@field_sheet) | arms in rows, conditions in columns, a dot for each seed, failed runs marked |
//! | [`fit_law`](fn@fit_law) | loss curves, the predictions of a law for them, and its errors |
//!
//! In reading order:
//!
//! * `runs`: the log of a run over its steps, the input of `training_dynamics`, `loss_vs_tokens`
//!   and `ppl_vs_tokens`; `tokens`: tokens per step
//! * `depth_reach`, `depth_perplexity`, `per_iteration`, `depth_scores` (benchmarks and controls):
//!   each with its input; `sampled`: the input of `depth_histogram`; `depths`: the look of
//!   recurrence depths
//! * `lr_schedules`, `schedule`, `sparsity`, `fit_law`, `field_sheet`: each with its input;
//!   `rates`: code shared by `lr_schedules` and `schedule`
//! * `trajectories`: the checked states of a trace, the input of `convergence` and `orbits`;
//!   `pca`: principal components by subspace iteration
//! * `exits`: the measurements of adaptive exits, the input of `exit_curve` and `exit_histogram`
//! * `picture`: a scene and its `table`, written as three files; `error`: the reasons for refusing
//!   a picture
//! * `sheet`: title and caption; `page`: a sheet with legends; `grid`: panels in rows; `stack`:
//!   panels one above the other; `layout`: the choice between a stack and a row
//! * `panel`: a set of axes, with its `frame`, `lines` (`decimate`: removal of points) and `bars`;
//!   `axis` and its `ticks`; `legend`, `colour_bar`
//! * `palette`, `viridis`, `marker`: colours, line styles and marks
//! * `scene`: paths and text; `svg` writes a scene, `png` draws the SVG; `font`: the embedded font
//!
//! * [`chart`]: panels of an HTML page; the page defines the colours and can change the scales
//!
//! A PNG is drawn from its SVG with an embedded font, so its bytes are the same on every machine,
//! even without installed fonts. Values that are not finite are gaps. Values at or below zero on a
//! log axis are drawn at the smallest positive value and counted in the caption. Steps begin at 1;
//! an evaluation before training is drawn at step 1. A table contains every number, even if the
//! picture cannot show all of them separately.
//!
//! The crate does not use models, tensors, run directories or configurations, and reads no file. It
//! writes only into the given folder. It uses no clock, no environment and no randomness.

mod axis;
mod bars;
pub mod chart;
mod colour_bar;
mod convergence;
mod decimate;
mod depth_histogram;
mod depth_perplexity;
mod depth_reach;
mod depth_scores;
mod depths;
mod error;
mod exit_curve;
mod exit_histogram;
mod exits;
mod field_sheet;
mod fit_law;
mod font;
mod frame;
#[cfg(test)]
mod golden;
mod grid;
mod layout;
mod legend;
mod lines;
mod loss_vs_tokens;
mod lr_schedules;
mod marker;
mod orbits;
mod page;
mod palette;
mod panel;
mod pca;
mod per_iteration;
mod picture;
mod png;
mod ppl_vs_tokens;
mod rates;
mod runs;
mod sampled;
mod scene;
mod schedule;
mod sheet;
mod sparsity;
mod stack;
mod svg;
mod table;
mod ticks;
mod tokens;
mod training_dynamics;
mod trajectories;
mod viridis;

pub use convergence::convergence;
pub use depth_histogram::depth_histogram;
pub use depth_perplexity::{DepthCurve, depth_perplexity};
pub use depth_reach::{DepthAccuracy, DepthReach, depth_reach};
pub use depth_scores::{DepthScore, ScoreLine, ScorePanel, benchmarks, depth_controls};
pub use error::FigureError;
pub use exit_curve::exit_curve;
pub use exit_histogram::exit_histogram;
pub use exits::{Criterion, CurvePoint, ExitCurve, ExitSeries};
pub use field_sheet::{Better, FieldSheet, SheetCell, SheetDot, SheetRow, field_sheet};
pub use fit_law::{PredictedCurve, PredictedPoint, fit_law};
pub use layout::Layout;
pub use loss_vs_tokens::loss_vs_tokens;
pub use lr_schedules::{Correlation, LawLine, ScheduledRun, lr_schedules};
pub use orbits::orbits;
pub use per_iteration::{IterationProfile, per_iteration};
pub use picture::Picture;
pub use ppl_vs_tokens::ppl_vs_tokens;
pub use runs::{DepthLog, Logged, RunLog};
pub use sampled::SampledDepths;
pub use schedule::{PlannedRun, PlannedStep, schedule};
pub use sparsity::{SparsityRun, sparsity};
pub use training_dynamics::training_dynamics;
pub use trajectories::Trajectories;
