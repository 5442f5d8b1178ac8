//! What joins state and embedding before each iteration of a loop, beside products with matrices.
//!
//! | module | y |
//! |---|---|
//! | [`channels`] | `c ⊙ x + base`, c a function of two numbers of each channel |
//! | [`orthogonal`] | what is kept of x, less its part along u, and u |
//! | [`mix`] | `keep · x + α · e`, one α |
//! | [`history`] | `base + c ⊙ (past − x)` |
//!
//! The arithmetic of a row is written for any float, so that the tests run the same lines in f64.

pub mod channels;
pub mod history;
pub mod mix;
pub mod orthogonal;
#[cfg(test)]
mod tests;
