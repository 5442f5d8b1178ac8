//! The published injections against what their authors' code gives, in f64 and in f32, and every function against finite
//! differences.

mod differences;
mod golden;
