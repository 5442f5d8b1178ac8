//! The CubeCL kernels of a looped transformer and the functions that launch them, for every GPU
//! that Burn's CubeCL backend supports.
//!
//! The smallest kernel is the norm. It serves as an example:
//!
//! ```text
//! y  = x · r ⊙ scale,   r = 1 / √(mean(x²) + eps)
//! dx = r · (g − x·r · mean(g ⊙ x·r)),   g = dy ⊙ scale
//! ```
//!
//! The kernel reads each row once. The same pass can add a residual to x before the norm, or to y
//! after the norm.
//!
//! Reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`tensor`] | the form in which kernels read tensors, and the allocation of tensors |
//! | [`primitive`] | conversion between Burn's tensors and the tensors that kernels read |
//! | `rows` | how the units of a cube share rows, and sums over a row |
//! | `column_sum` | the sum of the rows of a matrix |
//! | [`product`] | matrix products in a given precision, with the routine chosen for the device |
//! | [`norm`] | the root-mean-square norm of a tensor or a sum, also added to another tensor |
//! | [`gated`] | gated SiLU |
//! | [`heads`] | the layout of queries, keys and values in rows, and the rotary embedding |
//! | [`attention`] | softmax attention that never stores the matrix of scores |
//! | [`embedding`] | the lookup of table rows by id, and the table's gradient |
//! | [`cross_entropy`] | the head with its loss, chunk by chunk |
//! | [`update`] | an optimizer's update of a parameter, and the norm of all gradients |
//! | [`memory`] | the total memory of a device |
//! | [`launches`] | counts of kernel launches |
//!
//! Every kernel computes in f32 and adds in a fixed order, without atomics, so a device gives the
//! same bits in every run. Every kernel accepts any number of rows and any width. Only the
//! attention kernels exchange numbers within a plane (a group of threads that run in lockstep), and
//! only on devices that have planes.
//!
//! # Limits
//!
//! The crate has no graph of gradients, no model, and no choice between backends; all three are in
//! `rondo-model`. The kernels of matrix products come from cubek. There is no unsafe code: launches
//! check their bounds. Without the feature `kernels` the crate is empty.

#![cfg(feature = "kernels")]

pub mod attention;
mod column_sum;
pub mod cross_entropy;
pub mod embedding;
pub mod gated;
pub mod heads;
pub mod launches;
pub mod memory;
pub mod norm;
pub mod primitive;
pub mod product;
mod rows;
pub mod tensor;
#[cfg(test)]
mod testing;
pub mod update;
