//! Compares the published injections with the results of their authors' code, in f64 and in f32,
//! and every function with finite differences.

mod differences;
mod golden;
