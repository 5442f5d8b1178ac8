//! Compares the published injections with results of their authors' code, in f64 and in f32, and
//! every function with its central differences.

mod differences;
mod golden;
