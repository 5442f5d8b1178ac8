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
//! exists. The loss is a scalar, so a later backward pass only has to multiply these gradients by a
//! factor.

mod kernels;

use std::ops::Range;

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::slice;
use cubecl::prelude::CubeDim;
use rondo_kernels::product::Precision;

use self::kernels::{Form, mean_kernel, row_kernel};
use crate::product::{product, transposed};
use crate::rows::{Tile, cube_count};
use crate::tensor::{CubeTensor, check, contiguous, empty, matrix};

/// The number of logits in a chunk: 128 MiB.
const CHUNK_LOGITS: usize = 1 << 25;

/// The minimum number of tokens in a chunk, for any vocabulary. The number of tokens in a chunk is
/// a multiple of this number, so every chunk starts at an offset that devices allow for a buffer.
const FEWEST_ROWS: usize = 64;

/// The inputs of the head and of its loss.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The hidden states, `[tokens, d_model]`.
    pub hidden: &'a CubeTensor,
    /// The matrix of the head: `[vocab, d_model]` if it is tied, otherwise `[d_model, vocab]`.
    pub matrix: &'a CubeTensor,
    /// Whether the matrix is the token embedding, used as its transpose.
    pub tied: bool,
    /// The ids of the targets, below the size of the vocabulary: i32, `[tokens]`.
    pub targets: &'a CubeTensor,
    /// The precision of the matrix products.
    pub precision: Precision,
}

/// The loss of each token.
#[derive(Clone, Debug)]
pub struct Losses {
    /// The negative log likelihood of each target in nats, `[tokens]`.
    pub nll: CubeTensor,
    /// For each token: 1 if the target's logit is the first of the largest logits, otherwise 0;
    /// `[tokens]`.
    pub hits: CubeTensor,
}

/// The mean loss of the tokens and its gradients.
#[derive(Clone, Debug)]
pub struct LossWithGradients {
    /// The result of [`mean`], `[1]`.
    pub loss: CubeTensor,
    /// As [`Losses::hits`]; the weights have no influence.
    pub hits: CubeTensor,
    /// The gradient of the loss with respect to the hidden states.
    pub d_hidden: CubeTensor,
    /// The gradient of the loss with respect to the matrix of the head, in the shape of the matrix.
    pub d_matrix: CubeTensor,
}

/// Returns whether the targets have the element type that the kernels read.
pub fn takes(targets: &CubeTensor) -> bool {
    targets.dtype == DType::I32
}

/// Returns the loss of each token.
///
/// # Panics
///
/// Panics if the shapes do not fit or a tensor is not contiguous.
pub fn losses(head: Head<'_>) -> Losses {
    let losses = head.unwritten();
    for chunk in head.chunks(CHUNK_LOGITS) {
        let logits = head.logits(&head.rows(&chunk));
        head.score(&logits, &chunk, &losses, None);
    }
    losses
}

/// Returns the weighted mean loss and its gradients. `weights`: `[tokens]`; without weights every
/// token has weight 1.
///
/// # Panics
///
/// As [`losses`].
pub fn loss_with_gradients(head: Head<'_>, weights: Option<&CubeTensor>) -> LossWithGradients {
    differentiate(head, weights, CHUNK_LOGITS)
}

fn differentiate(
    head: Head<'_>,
    weights: Option<&CubeTensor>,
    chunk_logits: usize,
) -> LossWithGradients {
    let losses = head.unwritten();
    let shares = Shares {
        weights,
        mean: weights.map(|weights| mean(weights, None)),
    };
    let mut d_hidden = Vec::new();
    let mut d_matrix: Option<CubeTensor> = None;
    for chunk in head.chunks(chunk_logits) {
        let hidden = head.rows(&chunk);
        let logits = head.logits(&hidden);
        head.score(&logits, &chunk, &losses, Some(&shares));
        let part = match head.tied {
            true => product(transposed(&logits), hidden, head.precision),
            false => product(transposed(&hidden), logits.clone(), head.precision),
        };
        d_matrix = Some(match d_matrix {
            Some(sum) => CubeBackend::float_add(sum, part),
            None => part,
        });
        let back = match head.tied {
            true => head.matrix.clone(),
            false => transposed(head.matrix),
        };
        d_hidden.push(product(logits, back, head.precision));
    }
    LossWithGradients {
        loss: mean(&losses.nll, weights),
        hits: losses.hits,
        d_hidden: match d_hidden.len() {
            1 => d_hidden.remove(0),
            _ => CubeBackend::float_cat(d_hidden, 0),
        },
        d_matrix: d_matrix.expect("there is a token"),
    }
}

/// Returns the weighted mean of the losses of the tokens, `[1]`; NaN if the weights sum to zero.
///
/// # Shapes
///
/// `nll`, `weights`: `[tokens]`. Without weights every token has weight 1.
///
/// # Panics
///
/// Panics if a tensor is not contiguous f32.
pub fn mean(nll: &CubeTensor, weights: Option<&CubeTensor>) -> CubeTensor {
    check(nll);
    let count = nll.shape().num_elements();
    if let Some(weights) = weights {
        check(weights);
        let given = weights.shape().num_elements();
        assert_eq!(given, count, "one weight for each token");
    }
    let out = empty(nll, [1]);
    let tile = Tile::whole(1);
    mean_kernel::launch(
        &nll.client,
        cube_count(1),
        CubeDim::new_1d(tile.lanes as u32),
        nll.clone().into_buffer_arg(),
        weights.unwrap_or(nll).clone().into_buffer_arg(),
        out.clone().into_buffer_arg(),
        count,
        1.0 / count as f32,
        tile,
        weights.is_some(),
    );
    out
}

/// The inputs from which a kernel computes each token's share of the loss: its weight divided by
/// the sum of all weights.
struct Shares<'a> {
    weights: Option<&'a CubeTensor>,
    /// The mean of the weights, `[1]`.
    mean: Option<CubeTensor>,
}

impl Head<'_> {
    fn unwritten(&self) -> Losses {
        let [tokens, d_model] = matrix(self.hidden);
        let [first, second] = matrix(self.matrix);
        let (inner, _) = if self.tied {
            (second, first)
        } else {
            (first, second)
        };
        check(self.hidden);
        check(self.matrix);
        assert_eq!(inner, d_model, "the width of the head");
        assert!(takes(self.targets), "targets of {:?}", self.targets.dtype);
        assert_eq!(
            self.targets.shape().num_elements(),
            tokens,
            "one target for each token"
        );
        Losses {
            nll: empty(self.hidden, [tokens]),
            hits: empty(self.hidden, [tokens]),
        }
    }

    fn vocab(&self) -> usize {
        let [first, second] = matrix(self.matrix);
        if self.tied { first } else { second }
    }

    /// Returns the range of tokens of each chunk. A chunk has about `logits` logits.
    fn chunks(&self, logits: usize) -> Vec<Range<usize>> {
        let [tokens, _] = matrix(self.hidden);
        let rows = (logits / self.vocab()) / FEWEST_ROWS * FEWEST_ROWS;
        let rows = rows.max(FEWEST_ROWS);
        let chunk = |first: usize| first..(first + rows).min(tokens);
        (0..tokens).step_by(rows).map(chunk).collect()
    }

    fn rows(&self, chunk: &Range<usize>) -> CubeTensor {
        let [_, d_model] = matrix(self.hidden);
        contiguous(slice(self.hidden.clone(), &[chunk.clone(), 0..d_model]))
    }

    fn logits(&self, hidden: &CubeTensor) -> CubeTensor {
        let projection = match self.tied {
            true => transposed(self.matrix),
            false => self.matrix.clone(),
        };
        product(hidden.clone(), projection, self.precision)
    }

    /// Writes the losses of the tokens of a chunk. With `shares`, it also replaces the logits by
    /// their gradients.
    fn score(
        &self,
        logits: &CubeTensor,
        chunk: &Range<usize>,
        losses: &Losses,
        shares: Option<&Shares<'_>>,
    ) {
        let [tokens, _] = matrix(self.hidden);
        let tile = Tile::whole(self.vocab());
        let weights = shares.and_then(|shares| shares.weights);
        let mean = shares.and_then(|shares| shares.mean.as_ref());
        let form = Form {
            gradient: shares.is_some(),
            weighted: weights.is_some(),
        };
        // Another buffer is passed in the place of missing weights; the kernel does not read it.
        row_kernel::launch(
            &logits.client,
            cube_count(chunk.len()),
            CubeDim::new_1d(tile.lanes as u32),
            logits.clone().into_buffer_arg(),
            self.targets.clone().into_buffer_arg(),
            weights.unwrap_or(&losses.nll).clone().into_buffer_arg(),
            mean.unwrap_or(&losses.nll).clone().into_buffer_arg(),
            losses.nll.clone().into_buffer_arg(),
            losses.hits.clone().into_buffer_arg(),
            chunk.len(),
            chunk.start,
            1.0 / tokens as f32,
            tile,
            form,
        );
    }
}

#[cfg(test)]
mod tests;
