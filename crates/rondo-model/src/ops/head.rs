//! The head, and the cross entropy of what it predicts.

use burn::tensor::{Int, Tensor};
use rondo_kernels::cross_entropy;
use rondo_kernels::product::Precision;

use super::{composed, of};

/// The matrix that makes logits of hidden states, as it is stored, so that no operation has to
/// transpose or copy it.
#[derive(Clone, Debug)]
pub struct Head {
    /// `[vocab, d_model]` where it is tied, else `[d_model, vocab]`.
    pub(super) matrix: Tensor<2>,
    pub(super) operation: cross_entropy::Head,
}

impl Head {
    /// Takes a matrix of its own, `[d_model, vocab]`.
    pub fn own(matrix: Tensor<2>) -> Self {
        Self::new(matrix, false)
    }

    /// Takes the token embedding, `[vocab, d_model]`.
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

    /// Lets the products of the losses round what they multiply, where the device can.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.operation.precision = precision;
        self
    }

    /// Returns the head as a constant of a graph, for gradients of hidden states alone.
    #[must_use]
    pub fn in_graph(mut self) -> Self {
        self.matrix = self.matrix.autodiff();
        self
    }
}

/// The loss of a batch under a head.
#[derive(Clone, Debug)]
pub struct HeadLoss {
    /// Mean negative log likelihood over the positions of weight 1, nats, `[1]`.
    pub loss: Tensor<1>,
    /// 1 where the largest logit is the target's, else 0, `[tokens]`, without gradient; none
    /// unless asked for.
    pub hits: Option<Tensor<1>>,
}

/// The loss of each token under a head.
#[derive(Clone, Debug)]
pub struct TokenLosses {
    /// Negative log likelihood, nats, `[tokens]`.
    pub losses: Tensor<1>,
    /// As [`HeadLoss::hits`].
    pub hits: Option<Tensor<1>>,
}

/// Unnormalised log probabilities of the next token.
///
/// # Shapes
///
/// `hidden`: `[batch, seq, d_model]`; returns `[batch, seq, vocab]`.
pub fn head_logits(hidden: Tensor<3>, head: Head) -> Tensor<3> {
    composed::logits(of(&hidden), hidden, head)
}

/// Mean cross entropy of the targets under `softmax(head_logits(hidden))`; differentiable.
///
/// # Shapes
///
/// `hidden`: `[batch, seq, d_model]`; `targets`: `[batch, seq]`; `weights`: `[batch, seq]`, 1 where
/// the loss counts and 0 elsewhere, or none where every position counts.
pub fn head_cross_entropy(
    hidden: Tensor<3>,
    head: Head,
    targets: Tensor<2, Int>,
    weights: Option<Tensor<2>>,
    with_hits: bool,
) -> HeadLoss {
    of(&hidden).head_cross_entropy(hidden, head, targets, weights, with_hits)
}

/// Cross entropy of each target under `softmax(head_logits(hidden))`, for evaluation.
///
/// # Shapes
///
/// `hidden`: `[batch, seq, d_model]`; `targets`: `[batch, seq]`; tokens is batch · seq.
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
