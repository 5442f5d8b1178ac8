//! Recomputes the values of the reference implementation.
//!
//! The values in tests/golden/raven-tiny were computed with the public reference model
//! (seal-rg/recurrent-pretraining, PyTorch, f32, CPU, random weights, random norm scales and
//! biases). `io.safetensors` contains its inputs and outputs; its labels are aligned with the
//! inputs. `trainer selftest --golden` compares the model itself on every device. These tests check
//! the results of that command, and the output of the other commands. The tolerances allow f32 sums
//! in another order. They apply to the largest absolute difference, and for gradients to the norm
//! of the difference over the norm.

mod commands;
mod golden;
mod selftest;
