//! The arithmetic of the training step on a CPU: the most frequent operations of the loop as fused
//! functions with gradients.
//!
//! Every function works on plain row-major `f32` slices. Each forward function has a hand-written
//! backward function. Tests compare both functions with plain versions in f64 and with finite
//! differences.
//!
//! Plain data without tensors (`Norm`, `SelfAttention`, `Sublayer`, `Head`, `Projection`, `Update`
//! …) describes an operation; other implementations of the same operation use the same data. A
//! second struct holds the tensors of the operation, or their gradients, as named fields.
//!
//! Results do not depend on the number of threads: work is cut into pieces of fixed size, and
//! partial sums are added in a fixed order. Machines with other instructions may add the terms of a
//! product in another order.
//!
//! Reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | `vector` | lanes, sums, the exponential |
//! | [`awake`] | threads that stay awake during a step |
//! | [`rows`] | pieces of work of fixed size |
//! | [`matrix`], [`product`] | views and products |
//! | [`norm`], [`gated`], [`attention`], [`projection`] | the functions of a layer |
//! | [`self_attention`], [`feed_forward`] | the branches of a layer, built from these functions |
//! | [`sublayer`] | a branch with its norms and its residual connection |
//! | [`injection`] | functions that join state and embedding before each iteration of a loop |
//! | [`lanes`] | weighted sums of states that are stored side by side |
//! | [`average`] | the running average of the outputs of a loop's iterations |
//! | [`cross_entropy`] | the loss together with the head |
//! | [`update`] | the optimizers' updates of parameters, in place |
//! | [`memory`] | an option of the allocator, reusable working space |
//! | [`denormals`] | how numbers below the normal range are treated |
//! | [`instructions`] | which vector instructions this machine has |
//!
//! This crate depends neither on Burn nor on the model, and it has no notion of a parameter.
//! `unsafe` is used in [`matrix`], in [`product`], in [`denormals`] and in one call of [`memory`];
//! each place states its reason.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined is compiled for the instructions that are picked at run time"
)]

pub mod attention;
pub mod average;
pub mod awake;
pub mod cross_entropy;
pub mod denormals;
pub mod feed_forward;
pub mod gated;
#[cfg(test)]
mod golden;
pub mod injection;
pub mod instructions;
pub mod lanes;
pub mod matrix;
pub mod memory;
pub mod norm;
pub mod product;
pub mod projection;
mod real;
pub mod rows;
pub mod self_attention;
pub mod sublayer;
#[cfg(test)]
mod threads;
pub mod update;
mod vector;
