//! Tests the server from outside with a simulated model. At depth `r` the next letter of the
//! alphabet has logit `r`, and the other 256 tokens have logit 0.

mod ending;
mod scores;
mod strangers;
mod texts;

/// Returns ln p of the next letter of the alphabet at depth `r`.
fn log_p(r: f64) -> f64 {
    r - (r.exp() + 256.0).ln()
}
