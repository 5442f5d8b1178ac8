//! The mathematics of recurrent-depth transformers.
//!
//! ```text
//! e   = P(γ · E[x])                      prelude over scaled token embeddings
//! s_i = R(A(s_{i-1}, e)),  i = 1..r      core block, the same weights each iteration
//! p   = softmax(n_f(C(n_f(s_r))) · Eᵀ)   coda; one shared norm n_f, used twice
//! ```
//!
//! after Geiping et al. 2025, arXiv 2502.05171, §3.
//!
//! In reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | [`config::ModelConfig`] and its parts; `validate` reports every violation |
//! | [`looped`] | [`looped::LoopedTransformer`]: embed, prelude, loop, coda, head; a training pass; decoding with a cache |
//! | [`recurrence`] | the loop itself and the trace of its states |
//! | [`depth`] | how many iterations a step takes, a pure function of seed and step |
//! | [`objective`], [`penalty`] | what a training pass differentiates; penalties on the loop's last state |
//! | [`layer`], [`pass`] | where a layer stands, and where in a pass it is applied; what the layers of a pass share |
//! | [`sparsity`], [`gates`] | gates on the edges of attention; how those of a pass open, and what they saw |
//! | [`history`], [`contraction`] | what an iteration reads of earlier states; how much of the state comes into it |
//! | [`conditioning`] | what an iteration is told of its place in the loop |
//! | [`adjustment`], [`lora`] | what an iteration changes in the core's layers; what it adds to their matrices |
//! | [`residual`], [`lanes`] | what an iteration makes of the core's output; states side by side |
//! | [`state`], [`injection`], [`block`], [`attention`], [`feed_forward`], [`norm`] | the parts |
//! | [`init`] | every parameter's name, shape and initialiser in one table |
//! | [`ops`] | the tensor operations the parts are made of, computed by one of several backends |
//! | [`gradients`] | the gradient of every parameter, in table order |
//! | [`census`] | parameters by group, FLOPs per token, effective depth |
//! | [`memory`] | an estimate of the memory of a training step |
//! | [`exit`] | when another iteration is not worth taking |
//! | [`sampling`] | from logits to a token |
//! | [`seed`] | the random stream for each purpose |
//!
//! Any module may read [`config`] and [`layer`]. The model knows its loop and its parts; the parts know
//! [`pass`], [`gates`], [`init`] and [`ops`], and not what they are parts of: the loop does not know what a
//! block contains, and a block knows nothing of the loop but the iteration that it is told, on which the
//! noise of its gates depends.
//!
//! The same inputs give the same outputs: the crate has no learning rate, no clock, no file, no environment, no log, no
//! ambient randomness and no mutable state behind a shared reference. A pass returns all that it finds, the
//! open edges of its gates included.

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
