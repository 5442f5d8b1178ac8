//! Tests the server from outside with a simulated model: at depth r the next letter has logit r,
//! the other 256 tokens 0.

mod ending;
mod scores;
mod strangers;
mod texts;

/// Returns ln p of the next letter at depth `r`.
fn log_p(r: f64) -> f64 {
    r - (r.exp() + 256.0).ln()
}
