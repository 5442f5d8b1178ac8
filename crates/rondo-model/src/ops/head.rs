//! The head and the cross entropy of what it predicts: on flex one node that never holds the logits of
//! all tokens, elsewhere composed.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use rondo_kernels::cross_entropy::{self, loss_with_gradients};
use rondo_kernels::matrix::Matrix;
use rondo_kernels::product::Precision;
use rondo_kernels::rows;

use super::node::{self, Function, Output, Values};
use super::project;

/// The matrix that makes logits of hidden states, as it is stored, so that no operation has to
/// transpose or copy it.
#[derive(Clone, Debug)]
pub struct Head {
    matrix: Tensor<2>,
    /// Whether the matrix is the token embedding, `[vocab, d_model]`.
    tied: bool,
    precision: Precision,
}

impl Head {
    /// Takes a matrix of its own, `[d_model, vocab]`.
    pub fn own(matrix: Tensor<2>) -> Self {
        Self {
            matrix,
            tied: false,
            precision: Precision::F32,
        }
    }

    /// Takes the token embedding, `[vocab, d_model]`.
    pub fn tied(embedding: Tensor<2>) -> Self {
        Self {
            matrix: embedding,
            tied: true,
            precision: Precision::F32,
        }
    }

    /// Lets the products of the losses round what they multiply, where the device can.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
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
    match head.tied {
        false => project(hidden, head.matrix),
        true => project(hidden, head.matrix.transpose()),
    }
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
    if node::on_flex(&hidden) {
        let function = CrossEntropy {
            tied: head.tied,
            precision: head.precision,
            targets: node::ids(targets),
            weights: weights.map(node::constant),
        };
        let inputs = vec![hidden.into_dispatch(), head.matrix.into_dispatch()];
        let (loss, hits) = node::apply(function, inputs);
        return HeadLoss {
            loss,
            hits: with_hits.then(|| node::vector(hits)),
        };
    }
    compose_cross_entropy(hidden, head, targets, weights, with_hits)
}

/// [`head_cross_entropy`], composed of Burn operations.
///
/// # Shapes
///
/// As [`head_cross_entropy`].
pub fn compose_cross_entropy(
    hidden: Tensor<3>,
    head: Head,
    targets: Tensor<2, Int>,
    weights: Option<Tensor<2>>,
    with_hits: bool,
) -> HeadLoss {
    let TokenLosses { losses, hits } = compose_losses(hidden, head, targets, with_hits);
    let loss = match weights {
        None => losses.mean(),
        Some(weights) => {
            let weights: Tensor<1> = weights.reshape(losses.shape());
            (losses * weights.clone()).sum() / weights.sum()
        }
    };
    HeadLoss { loss, hits }
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
    if node::on_flex(&hidden) {
        let (hidden, matrix) = (node::constant(hidden), node::constant(head.matrix));
        let targets = node::ids(targets);
        let scored = cross_entropy::losses(
            hidden.rows(),
            kernel_head(head.tied, &matrix),
            &targets,
            head.precision,
        );
        return TokenLosses {
            losses: node::vector(scored.nll),
            hits: with_hits.then(|| node::vector(scored.hits)),
        };
    }
    compose_losses(hidden, head, targets, with_hits)
}

fn compose_losses(
    hidden: Tensor<3>,
    head: Head,
    targets: Tensor<2, Int>,
    with_hits: bool,
) -> TokenLosses {
    let logits = head_logits(hidden, head);
    let [batch, seq, vocab] = logits.dims();
    let tokens = batch * seq;
    let logits: Tensor<2> = logits.reshape([tokens, vocab]);
    let targets: Tensor<1, Int> = targets.reshape([tokens]);
    let hits = with_hits.then(|| {
        let best: Tensor<1, Int> = logits
            .clone()
            .without_autodiff()
            .argmax(1)
            .reshape([tokens]);
        best.equal(targets.clone()).float()
    });
    TokenLosses {
        losses: negative_log_likelihood(logits, targets),
        hits,
    }
}

/// Negative log likelihood of each target under `softmax(logits)`, in nats.
///
/// # Shapes
///
/// `logits`: `[tokens, vocab]`; `targets`: `[tokens]`; returns `[tokens]`.
fn negative_log_likelihood(logits: Tensor<2>, targets: Tensor<1, Int>) -> Tensor<1> {
    let [tokens, _] = logits.dims();
    let log_probabilities = log_softmax(logits, 1);
    log_probabilities
        .gather(1, targets.reshape([tokens, 1]))
        .reshape([tokens])
        .neg()
}

/// The mean loss of a batch: of the hidden states, and of the matrix of the head.
#[derive(Clone, Debug)]
struct CrossEntropy {
    tied: bool,
    precision: Precision,
    targets: Vec<i32>,
    weights: Option<Values>,
}

/// The gradients of the loss itself, found with it.
#[derive(Clone, Debug, Default)]
struct LossGradients {
    d_hidden: Vec<f32>,
    d_head: Vec<f32>,
}

impl Function for CrossEntropy {
    type Saved = LossGradients;
    /// 1 for every target that was hit, else 0, `[tokens]`.
    type Aside = Vec<f32>;

    fn forward(&self, inputs: &[Values], tracked: bool) -> Output<Self> {
        let (hidden, head) = (inputs[0].rows(), kernel_head(self.tied, &inputs[1]));
        let weights = self.weights.as_ref().map(Values::elements);
        let (loss, saved, aside) = if tracked {
            let found = loss_with_gradients(hidden, head, &self.targets, weights, self.precision);
            let saved = LossGradients {
                d_hidden: found.d_hidden,
                d_head: found.d_head,
            };
            (found.loss, saved, found.hits)
        } else {
            let found = cross_entropy::losses(hidden, head, &self.targets, self.precision);
            let loss = cross_entropy::mean(&found.nll, weights);
            (loss, LossGradients::default(), found.hits)
        };
        Output {
            values: vec![loss],
            shape: vec![1],
            saved,
            aside,
        }
    }

    fn backward(&self, _: &[Values], saved: LossGradients, d_out: &[f32]) -> Vec<Vec<f32>> {
        let mut gradients = [saved.d_hidden, saved.d_head];
        for gradient in &mut gradients {
            rows::scale(gradient, d_out[0]);
        }
        gradients.into()
    }
}

fn kernel_head(tied: bool, matrix: &Values) -> cross_entropy::Head<'_> {
    let matrix: Matrix<'_> = matrix.rows();
    match tied {
        true => cross_entropy::Head::Tied(matrix),
        false => cross_entropy::Head::Untied(matrix),
    }
}

#[cfg(test)]
mod tests;
