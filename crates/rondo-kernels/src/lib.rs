//! The arithmetic of the training step on a CPU: the most frequent operations of the loop, fused,
//! with gradients.
//!
//! Every function works on plain row-major `f32` slices. Each forward function has a hand-written
//! backward function beside it; tests compare both with a plain version in f64 and its finite
//! differences.
//!
//! Plain data without tensors (`Norm`, `SelfAttention`, `Sublayer`, `Head`, `Projection`, `Update`
//! …) describes an operation; other implementations of the same operation use it too. The tensors
//! and their gradients are the named fields of a struct beside it.
//!
//! Results depend only on the shapes: work is cut into pieces of fixed size, and partial sums are
//! added in a fixed order, so one thread and many give the same bits. Machines with other
//! instructions may add the terms of a product in another order.
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
//! | [`self_attention`], [`feed_forward`] | the branches built from them |
//! | [`sublayer`] | a branch with its norms and its residual connection |
//! | [`injection`] | functions that join state and embedding before each iteration of a loop |
//! | [`lanes`] | weighted sums of states side by side |
//! | [`average`] | the running average of the outputs of a loop's iterations |
//! | [`cross_entropy`] | the loss together with the head |
//! | [`update`] | the optimizers' rules, in place |
//! | [`memory`] | the allocator's pages, working space |
//! | [`denormals`] | numbers below the normal range |
//! | [`instructions`] | which vector instructions this machine has |
//!
//! This crate does not know Burn, the model, or what a parameter is. `unsafe` is used in
//! [`matrix`], in [`product`], in [`denormals`] and in one call of [`memory`], each with its
//! reason.

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
