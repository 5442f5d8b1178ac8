//! CubeCL kernels of a looped transformer, with their launchers, for every GPU that Burn's CubeCL
//! backend supports.
//!
//! The smallest kernel, as an example, is the norm:
//!
//! ```text
//! y  = x · r ⊙ scale,   r = 1 / √(mean(x²) + eps)
//! dx = r · (g − x·r · mean(g ⊙ x·r)),   g = dy ⊙ scale
//! ```
//!
//! It reads each row once, and the same pass adds a residual to x before the norm or to y after it.
//!
//! In reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`tensor`] | how launchers read and allocate tensors |
//! | [`primitive`] | conversion between Burn's tensors and those of launchers |
//! | `rows` | how units are laid over rows, and sums over a row |
//! | `column_sum` | the sum of the rows of a matrix |
//! | [`product`] | matrix products in a given precision, with the routine chosen for the device |
//! | [`norm`] | the root-mean-square norm, of a sum or added to another tensor |
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
//! same bits in every run. Every kernel accepts any number of rows and any width. Lanes exchange
//! numbers within a plane only in attention, and only on devices that have planes.
//!
//! Absences: a graph of gradients, the model, the choice between backends; all three are in
//! `rondo-model`. The kernels of matrix products are cubek's. There is no unsafe code: launches
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
