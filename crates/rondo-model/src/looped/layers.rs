//! The layers of a stack in turn. Each is told where in the pass it is applied.

use burn::tensor::Tensor;

use crate::adjustment::Adjustment;
use crate::block::Block;
use crate::gates::Seen;
use crate::layer::At;
use crate::pass::Shared;

/// Applies layers in turn; `at` says where in the pass each of them is applied, and `adjustments` what is adjusted in each. Also
/// returns what their gates saw: an empty list, which allocates nothing, where they have none.
///
/// # Shapes
///
/// `[batch, seq, d_model]` to the same.
pub(super) fn through(
    blocks: &[Block],
    mut x: Tensor<3>,
    pass: Shared<'_>,
    at: impl Fn(usize) -> At,
    adjustments: Option<&[Adjustment]>,
) -> (Tensor<3>, Vec<Seen>) {
    let mut seen = Vec::new();
    for (layer, block) in blocks.iter().enumerate() {
        let at = at(layer);
        let adjustment = adjustments.map(|all| &all[layer]);
        let (y, open) = block.forward(x, pass, at, adjustment);
        seen.extend(open.map(|open| Seen {
            at,
            open,
            device: y.device(),
        }));
        x = y;
    }
    (x, seen)
}
