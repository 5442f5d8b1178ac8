//! CubeCL kernels of a looped transformer and their launchers, for every GPU that Burn's CubeCL backend reaches.
//!
//! ```text
//! y  = x · r ⊙ scale,   r = 1 / √(mean(x²) + eps)         one pass over each row, whatever adds to x before or y after
//! dx = r · (g − x·r · mean(g ⊙ x·r)),   g = dy ⊙ scale
//! ```
//!
//! is the smallest of them, the norm. In reading order:
//!
//! | module | what it holds |
//! |---|---|
//! | [`tensor`] | how launchers read and make tensors |
//! | [`primitive`] | the same tensors as Burn's backend has them |
//! | `rows` | how units are laid over rows, and sums over a row |
//! | `column_sum` | the sum of the rows of a matrix |
//! | [`product`] | products of matrices in a precision, by a routine that suits the device |
//! | [`norm`] | the root-mean-square norm, of a sum or added to another tensor |
//! | [`gated`] | gated SiLU |
//! | [`heads`] | queries, keys and values in rows, and the rotary embedding |
//! | [`attention`] | softmax attention without its matrix of scores |
//! | [`embedding`] | rows of a table by their ids, and the table's gradient |
//! | [`cross_entropy`] | the head with its loss, chunk by chunk |
//! | [`update`] | an optimizer's update of a parameter, and the norm of all gradients |
//! | [`memory`] | the memory of a device |
//! | [`launches`] | how many kernels some work launches |
//!
//! Every kernel is f32 with sums in a fixed order, so a device gives the same bits each time; none uses
//! atomics, and any number of rows and any width is right. Only attention has lanes exchange numbers in a plane, and only where
//! the device has planes.
//!
//! Absences: a graph of gradients, the model, a choice between backends; `rondo-model` has them. The kernels of matrix
//! products are cubek's. There is no unsafe code: launches check their bounds. Without the feature `kernels` the crate is empty.

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
