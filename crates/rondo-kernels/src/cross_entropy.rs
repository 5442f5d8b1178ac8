//! Next-token cross entropy, computed together with the head's product; the loss and its gradients
//! come from one pass.
//!
//! ```text
//! l = x · W                                    logits of one token
//! nll = ln Σⱼ e^lⱼ − l_target                   in nats
//! loss = Σ w · nll / Σ w                        over the tokens, w their weights
//! ∂loss/∂lⱼ = (softmax(l)ⱼ − [j = target]) · w / Σ w
//! ∂loss/∂x = ∂loss/∂l · Wᵀ                      ∂loss/∂W = Σ xᵀ · ∂loss/∂l
//! ```
//!
//! The tokens are processed in chunks. The logits of a chunk are computed, replaced by their
//! gradients, and multiplied with W and x. The whole matrix of logits, `[tokens, vocab]`, never
//! exists. The loss is a scalar, so its gradients are known up to a factor before the backward pass
//! starts; the backward pass only multiplies them by this factor, with [`crate::rows::scale`].
//!
//! Invalid numbers stay visible: a NaN or +∞ among a token's logits gives a loss of NaN. A logit of
//! −∞ means a probability of zero.

mod row;

use std::ops::Range;

use rayon::prelude::*;

use crate::matrix::{Matrix, MatrixMut, runs};
use crate::memory::Scratch;
use crate::product::{Precision, Write, product};
use crate::rows::rows_per_task;
use crate::vector::vectorized;
use row::RowLoss;

/// The number of logits in a chunk for a small vocabulary: 8 MiB, about the size of the caches of a
/// few cores.
const CHUNK_LOGITS: usize = 1 << 21;

/// The minimum number of tokens in a chunk, for any vocabulary. Each chunk reads the matrix of the
/// head twice, and reads and writes the whole gradient of this matrix. Chunks of 256 tokens cost
/// more time than chunks of 512 tokens, 6 % at a vocabulary of 4096 and 14 % at 65536. Chunks of
/// 1024 tokens gained nothing.
const FEWEST_ROWS: usize = 512;

/// The description of the head, which turns hidden states into logits and computes their loss;
/// without its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whether the matrix of the head is the token embedding, `[vocab, d_model]`, used as its
    /// transpose. Otherwise the head has a matrix of its own, `[d_model, vocab]`.
    pub tied: bool,
    /// The precision of the matrix products.
    pub precision: Precision,
}

impl Head {
    /// Returns W, `[d_model, vocab]`.
    fn projection(self, matrix: Matrix<'_>) -> Matrix<'_> {
        if self.tied {
            matrix.transposed()
        } else {
            matrix
        }
    }
}

/// The loss of each token.
#[derive(Clone, Debug)]
pub struct Losses {
    /// Negative log likelihood of each target in nats, `[tokens]`.
    pub nll: Vec<f32>,
    /// For each token: 1 if the target is the first of the largest logits, else 0; `[tokens]`.
    pub hits: Vec<f32>,
}

/// The mean loss of the tokens and its gradients.
#[derive(Clone, Debug)]
pub struct LossWithGradients {
    /// The weighted mean of the negative log likelihoods in nats; NaN if the weights sum to zero.
    pub loss: f32,
    /// As [`Losses::hits`]; the weights have no influence.
    pub hits: Vec<f32>,
    /// The gradient of the loss with respect to the hidden states, `[tokens, d_model]`.
    pub d_hidden: Vec<f32>,
    /// The gradient of the loss with respect to the matrix of the head, in the shape of the matrix.
    pub d_head: Vec<f32>,
}

/// Returns the loss of each token.
///
/// # Shapes
///
/// `hidden`: `[tokens, d_model]`; `matrix`: the shape given at [`Head::tied`]; `targets`:
/// `[tokens]`, ids below the size of the vocabulary.
///
/// # Panics
///
/// Panics where the shapes do not fit or a target is outside the vocabulary.
pub fn losses(head: Head, hidden: Matrix<'_>, matrix: Matrix<'_>, targets: &[i32]) -> Losses {
    let projection = head.projection(matrix);
    let [tokens, vocab] = check(hidden, projection, targets);
    let mut logits = Scratch::of(tokens.min(chunk_rows(vocab)) * vocab);
    let mut rows: Vec<RowLoss> = Vec::with_capacity(tokens);
    for chunk in chunks(tokens, vocab) {
        let logits = &mut logits[..chunk.len() * vocab];
        let hidden = hidden.rows(chunk.clone());
        project(logits, hidden, projection, head.precision);
        let of_chunk = logits
            .par_chunks(vocab)
            .zip(&targets[chunk])
            .with_min_len(rows_per_task(vocab))
            .map(|(row, target)| {
                vectorized(
                    #[inline(always)]
                    || row::loss(row, *target as usize),
                )
            });
        rows.par_extend(of_chunk);
    }
    Losses {
        nll: rows.iter().map(|row| row.nll).collect(),
        hits: rows.iter().map(|row| row.hit).collect(),
    }
}

/// Returns the weighted mean loss and its gradients.
///
/// # Shapes
///
/// `hidden`: `[tokens, d_model]`; `matrix`: the shape given at [`Head::tied`]; `targets`:
/// `[tokens]`, ids below the size of the vocabulary; `weights`: `[tokens]`, or `None` if every
/// token has weight 1.
///
/// # Panics
///
/// Panics where the shapes do not fit or a target is outside the vocabulary.
pub fn loss_with_gradients(
    head: Head,
    hidden: Matrix<'_>,
    matrix: Matrix<'_>,
    targets: &[i32],
    weights: Option<&[f32]>,
) -> LossWithGradients {
    let (projection, precision) = (head.projection(matrix), head.precision);
    let [tokens, vocab] = check(hidden, projection, targets);
    let [_, d_model] = hidden.shape();
    assert!(
        weights.is_none_or(|weights| weights.len() == tokens),
        "one weight for each of {tokens} tokens"
    );
    let weight = |token: usize| weight_of(weights, token);
    let total: f64 = (0..tokens).map(weight).sum();

    let mut logits = Scratch::of(tokens.min(chunk_rows(vocab)) * vocab);
    let mut rows: Vec<RowLoss> = Vec::with_capacity(tokens);
    let mut d_hidden = vec![0.0; tokens * d_model];
    let mut d_head = vec![0.0; d_model * vocab];
    let d_hidden_chunks =
        MatrixMut::new(&mut d_hidden, tokens, d_model).split_rows(chunk_rows(vocab));
    for (chunk, d_hidden) in chunks(tokens, vocab).zip(d_hidden_chunks) {
        let hidden = hidden.rows(chunk.clone());
        let logits = &mut logits[..chunk.len() * vocab];
        project(logits, hidden, projection, precision);
        let of_chunk = logits
            .par_chunks_mut(vocab)
            .zip(chunk.clone())
            .with_min_len(rows_per_task(vocab))
            .map(|(row, token)| {
                let share = weight(token) / total;
                vectorized(
                    #[inline(always)]
                    || row::loss_and_gradient(row, targets[token] as usize, share),
                )
            });
        rows.par_extend(of_chunk);

        let d_logits = Matrix::new(logits, chunk.len(), vocab);
        let add = |out, a, b| product(out, Write::Add, a, b, precision);
        if head.tied {
            let d_head = MatrixMut::new(&mut d_head, vocab, d_model);
            add(d_head, d_logits.transposed(), hidden);
        } else {
            let d_head = MatrixMut::new(&mut d_head, d_model, vocab);
            add(d_head, hidden.transposed(), d_logits);
        }
        let back = projection.transposed();
        product(d_hidden, Write::Replace, d_logits, back, precision);
    }
    let nll: Vec<f32> = rows.iter().map(|row| row.nll).collect();
    LossWithGradients {
        loss: mean(&nll, weights),
        hits: rows.iter().map(|row| row.hit).collect(),
        d_hidden,
        d_head,
    }
}

/// Returns the weighted mean of the losses of the tokens; NaN if the weights sum to zero.
///
/// # Shapes
///
/// `nll`, `weights`: `[tokens]`. Without weights every token has weight 1.
pub fn mean(nll: &[f32], weights: Option<&[f32]>) -> f32 {
    let weighted = |(token, nll): (usize, &f32)| weight_of(weights, token) * f64::from(*nll);
    let sum: f64 = nll.iter().enumerate().map(weighted).sum();
    let total: f64 = (0..nll.len()).map(|token| weight_of(weights, token)).sum();
    (sum / total) as f32
}

fn weight_of(weights: Option<&[f32]>, token: usize) -> f64 {
    weights.map_or(1.0, |weights| f64::from(weights[token]))
}

/// Checks the shapes and the targets; returns `[tokens, vocab]`.
fn check(hidden: Matrix<'_>, projection: Matrix<'_>, targets: &[i32]) -> [usize; 2] {
    let ([tokens, d_model], [rows, vocab]) = (hidden.shape(), projection.shape());
    assert_eq!(d_model, rows, "width of the hidden states and of the head");
    assert_eq!(targets.len(), tokens, "one target for each token");
    let outside = |target: &&i32| !usize::try_from(**target).is_ok_and(|target| target < vocab);
    let stranger = targets.iter().find(outside);
    assert!(stranger.is_none(), "target {stranger:?} of {vocab} tokens");
    [tokens, vocab]
}

/// Returns the number of tokens in a chunk.
fn chunk_rows(vocab: usize) -> usize {
    (CHUNK_LOGITS / vocab.max(1)).max(FEWEST_ROWS)
}

/// Cuts the tokens into chunks.
fn chunks(tokens: usize, vocab: usize) -> impl Iterator<Item = Range<usize>> {
    runs(tokens, chunk_rows(vocab))
}

/// Writes the logits of the hidden states.
fn project(logits: &mut [f32], hidden: Matrix<'_>, projection: Matrix<'_>, precision: Precision) {
    let ([rows, _], [_, vocab]) = (hidden.shape(), projection.shape());
    let out = MatrixMut::new(logits, rows, vocab);
    product(out, Write::Replace, hidden, projection, precision);
}

#[cfg(test)]
mod tests;
