//! The numbers of the reference implementation, recomputed.
//!
//! tests/golden/raven-tiny was made with the public reference model (seal-rg/recurrent-pretraining,
//! PyTorch, f32, CPU, random weights, random norm scales and biases). `io.safetensors` has its
//! inputs and outputs; its labels are aligned with the inputs. `trainer selftest --golden` compares
//! the model itself on every device; the tests here check the results of that command and the
//! output of the others. The tolerances are those of f32 sums in another order, measured as the
//! largest absolute difference, and for gradients as the norm of the difference over the norm.

mod commands;
mod golden;
mod selftest;
