//! The backward pass: one task per key head and sequence (or segment). The task owns the columns of
//! the gradient that belong to its key head.
//!
//! With `P` the probabilities and `O` the result: `dV = Pᵀ·dO`, `dP = dO·Vᵀ`,
//! `dS = P ∘ (dP − rowsum(dO ∘ O))`, `dQ = dS·K / √d_head`, `dK = dSᵀ·Q / √d_head`
//! (arXiv 2307.08691, algorithm 2). With gates `A`, `dV` is `(P ∘ A)ᵀ·dO`, and [`super::edges`]
//! computes `dS` from `dP` and the gradients of the gates. The row sum of `dO ∘ O` stays the same.

use rayon::prelude::*;

use super::edges::{Edges, Gated, PerQuery, Place, Threshold, Ungated, Weighted};
use super::gate::{Gate, Opening, check_head_bias};
use super::noise::HeadNoise;
use super::scratch::{packed, with_scratch};
use super::segments::parts;
use super::tile::{KEYS, QUERIES, Queries};
use super::{Head, Segments, Shape};
use crate::matrix::{Matrix, MatrixMut};
use crate::vector::{LANES, dot, vectorized};

/// The inputs of the backward pass.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The packed projection after [`super::prepare()`], which the forward pass read:
    /// `[batch · seq, qkv_width]`.
    pub qkv: &'a [f32],
    /// The result of the forward pass, `[batch · seq, heads · d_head]`.
    pub attended: &'a [f32],
    /// The `lse` of the forward pass, `[batch, heads, seq]`.
    pub lse: &'a [f32],
    /// The gradient of `attended`.
    pub d_attended: &'a [f32],
}

/// Writes the gradient of the prepared packed projection. The forward pass was [`super::forward()`]
/// with the same `segments`.
///
/// # Shapes
///
/// `d_qkv`: `[batch · seq, qkv_width]`, overwritten.
///
/// # Panics
///
/// Panics where a length does not fit the shape.
pub fn backward(shape: Shape, segments: Option<&Segments>, known: Known<'_>, d_qkv: &mut [f32]) {
    differentiate(shape, segments, known, d_qkv, |_, _| Ungated);
}

/// Does what [`backward()`] does, over whole sequences and with gates; the forward pass was
/// [`super::forward_gated()`] with the same gates. Returns the gradient of the bias of each query
/// head.
///
/// # Shapes
///
/// As [`backward()`].
///
/// # Panics
///
/// Panics where a length does not fit the shape.
pub fn backward_gated(
    shape: Shape,
    gate: Gate,
    head_bias: Option<&[f32]>,
    known: Known<'_>,
    d_qkv: &mut [f32],
) -> Vec<f32> {
    check_head_bias(head_bias, shape);
    let of_sequences = match gate.opening {
        Opening::Drawn { key } => differentiate(shape, None, known, d_qkv, |sequence, head| {
            let bias = gate.bias_of(head_bias, head);
            Gated::new(HeadNoise::new(key, sequence, head), bias, gate.pull(shape))
        }),
        Opening::Threshold => differentiate(shape, None, known, d_qkv, |_, head| {
            let bias = gate.bias_of(head_bias, head);
            Gated::new(Threshold, bias, gate.pull(shape))
        }),
    };
    let of_head = |head: usize| of_sequences.iter().skip(head).step_by(shape.heads);
    (0..shape.heads)
        .map(|head| of_head(head).sum::<f64>() as f32)
        .collect()
}

/// Writes the gradient with the factor per edge that `edges` returns for a sequence and a head.
/// Returns the gradients of the gates' logits, summed per part and query head: `[batch, heads]` if
/// every sequence is one part.
fn differentiate<E: Edges>(
    shape: Shape,
    segments: Option<&Segments>,
    known: Known<'_>,
    d_qkv: &mut [f32],
    edges: impl Fn(usize, usize) -> E,
) -> Vec<f64> {
    let Known {
        qkv,
        attended,
        lse,
        d_attended,
    } = known;
    shape.check(qkv);
    shape.check_segments(segments);
    assert_eq!(lse.len(), shape.lse_len(), "lse of {shape:?}");
    let (rows, seq, d_head) = (shape.rows(), shape.seq, shape.d_head);
    let qkv = Matrix::new(qkv, rows, shape.qkv_width());
    let attended = Matrix::new(attended, rows, shape.attended_width());
    let d_attended = Matrix::new(d_attended, rows, shape.attended_width());
    let mut tasks = Vec::new();
    let sequences = MatrixMut::new(d_qkv, rows, shape.qkv_width()).split_rows(seq);
    for (sequence, mut gradient) in sequences.enumerate() {
        for part in parts(segments, sequence, seq) {
            let (own, rest) = gradient.split_rows_at(part.len());
            gradient = rest;
            let mut columns: Vec<_> = own.split_columns(d_head).collect();
            let d_values = columns.split_off(shape.prepared_heads());
            let d_keys = columns.split_off(shape.heads);
            let tokens = sequence * seq + part.start..sequence * seq + part.end;
            let mut query_heads = columns.into_iter().enumerate().map(|(head, d_queries)| {
                let columns = head * d_head..(head + 1) * d_head;
                QueryHead {
                    head: shape.head(qkv, sequence, head).tokens(part.clone()),
                    edges: edges(sequence, head),
                    attended: attended.rows(tokens.clone()).columns(columns.clone()),
                    d_attended: d_attended.rows(tokens.clone()).columns(columns),
                    lse: &lse[(sequence * shape.heads + head) * seq..][part.clone()],
                    d_queries,
                }
            });
            for (d_keys, d_values) in d_keys.into_iter().zip(d_values) {
                tasks.push(Task {
                    query_heads: query_heads.by_ref().take(shape.group()).collect(),
                    d_keys,
                    d_values,
                });
            }
        }
    }
    let d_logits: Vec<Vec<f64>> = tasks
        .into_par_iter()
        .map(|task| task.run(shape.scale()))
        .collect();
    d_logits.concat()
}

/// A key head of one sequence or segment, and the query heads that use it.
struct Task<'a, E> {
    query_heads: Vec<QueryHead<'a, E>>,
    d_keys: MatrixMut<'a>,
    d_values: MatrixMut<'a>,
}

/// The inputs for the gradient of one query head, and the columns into which it is written.
struct QueryHead<'a, E> {
    head: Head<'a>,
    edges: E,
    attended: Matrix<'a>,
    d_attended: Matrix<'a>,
    lse: &'a [f32],
    d_queries: MatrixMut<'a>,
}

impl<E: Edges> Task<'_, E> {
    /// Returns the sum of the gradients of the gates' logits for each query head.
    fn run(mut self, scale: f32) -> Vec<f64> {
        let [seq, _] = self.d_keys.shape();
        for token in 0..seq {
            self.d_keys.row(token).fill(0.0);
            self.d_values.row(token).fill(0.0);
        }
        let mut d_logits = Vec::new();
        for mut query_head in self.query_heads {
            let mut d_logit = 0.0;
            for first in (0..seq).step_by(QUERIES) {
                let queries = Queries {
                    first,
                    count: QUERIES.min(seq - first),
                };
                d_logit += query_head.tile_gradient(
                    queries,
                    scale,
                    self.d_keys.reborrow(),
                    self.d_values.reborrow(),
                );
            }
            d_logits.push(d_logit);
        }
        d_logits
    }
}

impl<E: Edges> QueryHead<'_, E> {
    /// Writes the gradient of a tile of queries, and adds the contribution of the tile to the
    /// gradients of keys and values. Returns the sum of the gradients of the gates' logits.
    fn tile_gradient(
        &mut self,
        queries: Queries,
        scale: f32,
        mut d_keys: MatrixMut<'_>,
        mut d_values: MatrixMut<'_>,
    ) -> f64 {
        let positions = queries.positions();
        let query_rows = self.head.queries.rows(positions.clone());
        let d_attended = self.d_attended.rows(positions.clone());
        let attended = self.attended.rows(positions.clone());
        let softmax = FinishedSoftmax::new(&self.lse[positions.clone()], attended, d_attended);
        let ([_, d_head], width) = (query_rows.shape(), queries.width());
        let (rows, tile) = (d_head * width, KEYS * width);
        let lengths = [rows, rows, rows, rows, tile, tile, KEYS * d_head];
        let mut d_logit = 0.0;
        with_scratch(
            lengths,
            |[q, d_o, q_turned, d_o_turned, scores, d_weights, k]| {
                queries.turn(query_rows, scale, q_turned);
                queries.turn(d_attended, 1.0, d_o_turned);
                let (q, d_o) = (packed(query_rows, q), packed(d_attended, d_o));
                for keys in queries.key_tiles() {
                    let k = packed(self.head.keys.rows(keys.clone()), k);
                    let v = self.head.values.rows(keys.clone());
                    let scores = &mut scores[..keys.len() * width];
                    let d_weights = &mut d_weights[..keys.len() * width];
                    queries.inner_products(scores, keys.clone(), k, q_turned);
                    queries.hide_the_future(scores, keys.clone());
                    queries.inner_products(d_weights, keys.clone(), v, d_o_turned);
                    let d_logits =
                        softmax.differentiate(scores, d_weights, queries, keys.start, self.edges);
                    if E::CLOSE {
                        d_logit += d_logits.total(queries.count);
                    }
                    let (weights, d_scores) = (&*scores, &*d_weights);
                    let d_v = d_values.reborrow().rows(keys.clone());
                    queries.add_to_keys(d_v, 1.0, weights, keys.clone(), d_o);
                    let d_k = d_keys.reborrow().rows(keys.clone());
                    queries.add_to_keys(d_k, scale, d_scores, keys.clone(), q);
                    let d_q = self.d_queries.reborrow().rows(positions.clone());
                    queries.gather_from_keys(d_q, scale, d_scores, keys, k);
                }
            },
        );
        d_logit
    }
}

/// The final state of each query's softmax.
struct FinishedSoftmax {
    /// The logarithm of the sum of `exp(score)`.
    lse: [f32; QUERIES],
    /// The sum of weight · d_weight over the keys of the query, which is `dO·O`.
    mean: [f32; QUERIES],
}

impl FinishedSoftmax {
    fn new(lse: &[f32], attended: Matrix<'_>, d_attended: Matrix<'_>) -> Self {
        let mut softmax = Self {
            lse: [0.0; QUERIES],
            mean: [0.0; QUERIES],
        };
        softmax.lse[..lse.len()].copy_from_slice(lse);
        vectorized(
            #[inline(always)]
            || {
                for (query, mean) in softmax.mean.iter_mut().enumerate().take(lse.len()) {
                    *mean = dot(attended.row(query), d_attended.row(query));
                }
            },
        );
        softmax
    }

    /// Replaces the scores by the products of weights and edge factors, and the gradients of these
    /// products by the gradients of the scores. `first_key` is the first key of the tile. Returns
    /// the gradients of the gates' logits.
    ///
    /// # Shapes
    ///
    /// `scores`, `d_weights`: `[keys, width]`.
    fn differentiate(
        &self,
        scores: &mut [f32],
        d_weights: &mut [f32],
        queries: Queries,
        first_key: usize,
        edges: impl Edges,
    ) -> PerQuery {
        let width = queries.width();
        let mut d_logits = PerQuery::zeros();
        vectorized(
            #[inline(always)]
            || {
                let lse = self.lse.as_chunks::<LANES>().0;
                let mean = self.mean.as_chunks::<LANES>().0;
                let rows = scores
                    .chunks_exact_mut(width)
                    .zip(d_weights.chunks_exact_mut(width));
                for ((scores, d_weights), key) in rows.zip(first_key..) {
                    let hidden = queries.hidden_vectors(key);
                    let row = edges.row(key);
                    let scores = scores.as_chunks_mut::<LANES>().0.iter_mut();
                    let d_weights = d_weights.as_chunks_mut::<LANES>().0.iter_mut();
                    let vectors = scores.zip(d_weights).zip(lse.iter().zip(mean)).enumerate();
                    for (vector, ((scores, gradients), (lse, mean))) in vectors.skip(hidden) {
                        let query = queries.first + vector * LANES;
                        let weighted = Weighted {
                            scores,
                            gradients,
                            lse,
                            mean,
                        };
                        edges.differentiate(Place { row, query, vector }, weighted, &mut d_logits);
                    }
                }
            },
        );
        d_logits
    }
}
