//! Applies the layers of a stack in turn.

use burn::tensor::Tensor;

use crate::adjustment::Adjustment;
use crate::block::Block;
use crate::gates::Seen;
use crate::layer::At;
use crate::pass::Shared;

/// Applies layers in turn. `at` returns the place of each layer in the pass, and `adjustments`
/// holds the changes of each layer's weights. Also returns the open edges of the gates; without
/// gates the list is empty and allocates nothing.
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
