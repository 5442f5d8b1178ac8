//! The numbers of the reference implementation, recomputed.
//!
//! tests/golden/raven-tiny was made with the public reference model (seal-rg/recurrent-pretraining,
//! PyTorch, f32, CPU, random weights, random norm scales and biases). `io.safetensors` holds its
//! inputs and outputs; labels there are aligned with the inputs. `trainer selftest --golden` compares
//! the model itself on every device; here stands what it must find, and what the commands write. The
//! tolerances are those of f32 sums in another order, measured as the largest absolute difference,
//! for gradients as the norm of the difference over the norm.

mod commands;
mod golden;
mod selftest;
