//! The mathematics of recurrent-depth transformers.
//!
//! ```text
//! e   = P(γ · E[x])                      prelude over scaled token embeddings
//! s_i = R(A(s_{i-1}, e)),  i = 1..r      core block, the same weights each iteration
//! p   = softmax(n_f(C(n_f(s_r))) · Eᵀ)   coda; one shared norm n_f, used twice
//! ```
//!
//! The formulas are those of Geiping et al. 2025, arXiv 2502.05171, §3.
//!
//! The modules in reading order:
//!
//! | module | content |
//! |---|---|
//! | [`config`] | [`config::ModelConfig`], resolved from a validated [`config::ModelSection`] |
//! | [`looped`] | [`looped::LoopedTransformer`]: forward pass, training pass, decoding |
//! | [`recurrence`] | the loop itself and the trace of its states |
//! | [`depth`] | the recurrence depth of a step, a pure function of seed and step |
//! | [`objective`], [`penalty`] | terms of a training loss; penalties on the last state |
//! | [`layer`], [`pass`] | a layer's place in the model and in a pass; data shared by all layers |
//! | [`sparsity`], [`gates`] | gates on the edges of attention; how they open; how many are open |
//! | [`history`], [`contraction`] | earlier states as an input; how strongly the state is scaled |
//! | [`conditioning`] | how an iteration depends on its place in the loop |
//! | [`adjustment`], [`lora`] | changes of layers per iteration; low-rank additions to matrices |
//! | [`residual`], [`lanes`] | the next state from the core's output; several states side by side |
//! | [`state`], [`injection`], [`block`], [`attention`], [`feed_forward`], [`norm`] | the parts |
//! | [`init`] | every parameter's name, shape and initialiser in one table |
//! | [`ops`] | the tensor operations of the parts, computed by one of several backends |
//! | [`gradients`] | the gradient of every parameter, in table order |
//! | [`census`] | the number of parameters of each part, FLOPs per token |
//! | [`memory`] | an estimate of the memory of a training step |
//! | [`exit`] | criteria to stop iterating |
//! | [`sampling`] | how a token is chosen from logits |
//! | [`seed`] | the random stream for each purpose |
//!
//! Any module may use [`config`] and [`layer`]. The model ([`looped`]) uses the loop and the parts.
//! A part may use [`pass`], [`gates`], [`init`] and [`ops`], but no module that contains the part.
//! The loop does not depend on the content of a block. A block receives from the loop only its
//! place in the pass, which determines the noise of its gates, and changes of its weights.
//!
//! The same inputs give the same outputs: the crate has no learning rate, no clock, no file, no
//! environment, no log, no ambient randomness and no mutable state behind a shared reference. A
//! pass returns all its results, including the open edges of its gates.

pub mod adjustment;
pub mod attention;
pub mod block;
pub mod census;
pub mod conditioning;
pub mod config;
pub mod contraction;
pub mod depth;
pub mod exit;
pub mod feed_forward;
pub mod gates;
pub mod gradients;
pub mod history;
pub mod init;
pub mod injection;
pub mod lanes;
pub mod layer;
pub mod looped;
pub mod lora;
pub mod memory;
pub mod norm;
pub mod objective;
pub mod ops;
pub mod pass;
pub mod penalty;
pub mod recurrence;
pub mod residual;
pub mod sampling;
pub mod seed;
pub mod sparsity;
pub mod state;
