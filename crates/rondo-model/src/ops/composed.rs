//! Compositions of Burn operations, one for every operation. Devices without kernels run these
//! compositions. Tests and benchmarks compare the kernels with the compositions.

mod attention;
mod average;
mod feed_forward;
mod gated;
mod head;
mod injection;
mod lanes;
mod norm;
mod projection;
mod segmented;
mod sublayer;

pub(crate) use attention::{attend, attention, repeat_heads, softmax_attention};
pub(crate) use average::{blend, total};
pub(crate) use feed_forward::{feed_forward, gated_projection, gated_silu};
pub(super) use head::{head_cross_entropy, head_losses, logits};
pub(crate) use injection::{channels, coefficients, difference, mix, orthogonal};
pub(crate) use lanes::mix_lanes;
pub(super) use norm::norm;
#[cfg(feature = "cube")]
pub(super) use projection::project;
pub(super) use projection::project_rows;
pub(crate) use sublayer::around;

pub(super) use burn::tensor::module::embedding as embed;

use super::Operations;

/// The backend that composes every operation.
pub(super) struct Composition;

impl Operations for Composition {}
