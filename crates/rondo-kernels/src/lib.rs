//! The arithmetic of the training step on a CPU: what the loop does most, fused, with gradients.
//!
//! Every function works on plain `f32` slices, row-major. A forward function has its backward beside
//! it, written by hand; both are proven against a plain version in f64 and its finite differences.
//!
//! Results depend on the shapes alone: work is cut into pieces of fixed size and partial sums are
//! added in a fixed order, so one thread and many give the same bits.
//!
//! Reading order: [`vector`] (lanes, exponential), [`rows`] (pieces of work), [`matrix`] (views and
//! products), then the functions themselves: [`attention`].
//!
//! This crate does not know Burn, the model, or what a parameter is. `unsafe` stands in [`matrix`]
//! alone, with its reasons.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the instructions that are picked at run time"
)]

pub mod attention;
pub mod matrix;
pub mod rows;
pub mod vector;
