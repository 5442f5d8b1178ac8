//! Functions that join state and embedding before each iteration of a loop. They contain no matrix
//! products.
//!
//! | module | y |
//! |---|---|
//! | [`channels`] | `c ⊙ x + base`, with c a function of two numbers per channel |
//! | [`orthogonal`] | `(r − c u) + u`: the decayed x without its component along u, plus u |
//! | [`mix`] | `keep · x + α · e`, with a single α |
//! | [`history`] | `base + c ⊙ (past − x)`, with past an earlier state |
//!
//! The functions for one row are generic over the float type, so the tests run the same code in
//! f64.

pub mod channels;
pub mod history;
pub mod mix;
pub mod orthogonal;
#[cfg(test)]
mod tests;
