//! The head, and the cross entropy of its predictions.

use burn::tensor::{Int, Tensor};
use rondo_kernels::cross_entropy;
use rondo_kernels::product::Precision;

use super::{composed, of};

/// The matrix that maps hidden states to logits. Operations read the matrix in its stored layout,
/// so no operation transposes or copies the matrix.
#[derive(Clone, Debug)]
pub struct Head {
    /// `[vocab, d_model]` if the head is tied to the token embedding, otherwise `[d_model, vocab]`.
    pub(super) matrix: Tensor<2>,
    pub(super) operation: cross_entropy::Head,
}

impl Head {
    /// Builds a head from its own matrix, `[d_model, vocab]`.
    pub fn own(matrix: Tensor<2>) -> Self {
        Self::new(matrix, false)
    }

    /// Builds a head from the token embedding, `[vocab, d_model]`.
    pub fn tied(embedding: Tensor<2>) -> Self {
        Self::new(embedding, true)
    }

    fn new(matrix: Tensor<2>, tied: bool) -> Self {
        let precision = Precision::F32;
        Self {
            matrix,
            operation: cross_entropy::Head { tied, precision },
        }
    }

    /// Sets the precision of the matrix products with the head. A device that supports this
    /// precision may round the factors of the products to it.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.operation.precision = precision;
        self
    }

    /// Returns the head as a constant of the graph. The hidden states have gradients, but the head
    /// has none.
    #[must_use]
    pub fn in_graph(mut self) -> Self {
        self.matrix = self.matrix.autodiff();
        self
    }
}

/// The loss of a batch under a head.
#[derive(Clone, Debug)]
pub struct HeadLoss {
    /// The mean negative log likelihood of the positions with weight 1, in nats, `[1]`.
    pub loss: Tensor<1>,
    /// For each token, 1 if the target has the largest logit, otherwise 0; `[tokens]`, without
    /// gradient. `None` if the hits were not requested.
    pub hits: Option<Tensor<1>>,
}

/// The loss of each token under a head.
#[derive(Clone, Debug)]
pub struct TokenLosses {
    /// The negative log likelihood of each target, in nats, `[tokens]`.
    pub losses: Tensor<1>,
    /// As [`HeadLoss::hits`].
    pub hits: Option<Tensor<1>>,
}

/// Returns the unnormalised log probabilities of the next token.
///
/// # Shapes
///
/// `hidden`: `[batch, seq, d_model]`; returns `[batch, seq, vocab]`.
pub fn head_logits(hidden: Tensor<3>, head: Head) -> Tensor<3> {
    composed::logits(of(&hidden), hidden, head)
}

/// Returns the mean cross entropy of the targets under `softmax(head_logits(hidden))`. The result
/// is differentiable.
///
/// # Shapes
///
/// `hidden`: `[batch, seq, d_model]`; `targets`: `[batch, seq]`; `weights`: `[batch, seq]`, 1 for
/// positions in the loss and 0 for others, or `None` if all positions are in the loss.
pub fn head_cross_entropy(
    hidden: Tensor<3>,
    head: Head,
    targets: Tensor<2, Int>,
    weights: Option<Tensor<2>>,
    with_hits: bool,
) -> HeadLoss {
    of(&hidden).head_cross_entropy(hidden, head, targets, weights, with_hits)
}

/// Returns the cross entropy of each target under `softmax(head_logits(hidden))`, for evaluation.
///
/// # Shapes
///
/// `hidden`: `[batch, seq, d_model]`; `targets`: `[batch, seq]`; the results have batch · seq
/// tokens.
pub fn head_losses(
    hidden: Tensor<3>,
    head: Head,
    targets: Tensor<2, Int>,
    with_hits: bool,
) -> TokenLosses {
    of(&hidden).head_losses(hidden, head, targets, with_hits)
}

#[cfg(test)]
mod tests;
