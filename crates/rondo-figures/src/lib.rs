//! Numbers in, pictures out: each picture is an SVG, a PNG and the CSV of the numbers it shows.
//!
//! | picture | shows |
//! |---|---|
//! | [`convergence`](fn@convergence) | heat map of `‖s_i − s_N‖`: tokens against iterations |
//! | [`orbits`](fn@orbits) | trajectories of states in the planes of six principal components |
//! | [`exit_curve`](fn@exit_curve) | perplexity against mean iterations per token: fixed depths and exit criteria |
//! | [`exit_histogram`](fn@exit_histogram) | at which iteration each criterion left the loop |
//!
//! In reading order:
//!
//! * [`trajectories`]: the states of a trace, checked; `convergence` and `orbits`, drawn from them;
//!   `pca`: principal components by subspace iteration
//! * [`exits`]: what an adaptive exit measured; `exit_curve` and `exit_histogram`, drawn from it
//! * [`picture`]: a scene and its table, written as three files
//! * `axis`, `panel`, `legend`, `colour_bar`, `sheet`: what a picture is composed of
//! * [`palette`], `viridis`, `marker`: how it looks
//! * `scene`: paths and text; `svg` and `raster`, `png` write it; `font`: the embedded typeface
//!
//! A scene is described once and written twice, so the SVG and the PNG agree to the pixel. Text in a PNG
//! is drawn from an embedded font: a picture comes out the same, byte for byte, on a machine without
//! any. Values that are not finite are gaps; values at or below zero on a log axis are drawn at the
//! smallest positive one, counted, and told in the caption.
//!
//! The crate does not know models, tensors, run directories or configurations, and reads no file. It
//! writes nowhere but into the folder it is given. No clock, no environment, no randomness.

mod axis;
mod colour_bar;
mod convergence;
mod error;
mod exit_curve;
mod exit_histogram;
pub mod exits;
mod font;
mod legend;
mod marker;
mod orbits;
pub mod palette;
mod panel;
mod pca;
pub mod picture;
mod png;
mod raster;
mod scene;
mod sheet;
mod svg;
mod table;
pub mod trajectories;
mod viridis;

pub use convergence::convergence;
pub use error::FigureError;
pub use exit_curve::exit_curve;
pub use exit_histogram::exit_histogram;
pub use exits::{Criterion, CurvePoint, ExitCurve, ExitSeries};
pub use orbits::orbits;
pub use picture::Picture;
pub use trajectories::Trajectories;
