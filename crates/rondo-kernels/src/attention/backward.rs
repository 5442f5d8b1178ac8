//! The backward: one task per sequence and key head, the owner of its columns of the gradient.
//!
//! With `P` the probabilities and `O` the result: `dV = Pᵀ·dO`, `dP = dO·Vᵀ`,
//! `dS = P ∘ (dP − rowsum(dO ∘ O))`, `dQ = dS·K / √d_head`, `dK = dSᵀ·Q / √d_head`
//! (arXiv 2307.08691, algorithm 2).

use rayon::prelude::*;

use super::scratch::{packed, with_scratch};
use super::tile::{KEYS, QUERIES, Queries};
use super::{Head, Shape};
use crate::matrix::{Matrix, MatrixMut};
use crate::vector::{LANES, dot, exp, vectorized};

/// Writes the gradient of the packed, prepared projection.
///
/// # Shapes
///
/// `qkv` and `d_qkv`: `[batch · seq, qkv_width]`; `attended` and `d_attended`:
/// `[batch · seq, heads · d_head]`; `lse`: `[batch, heads, seq]`. `qkv` is what [`super::forward()`]
/// was given, `attended` and `lse` what it wrote; `d_qkv` is overwritten.
///
/// # Panics
///
/// Panics where a length does not fit the shape.
pub fn backward(
    shape: Shape,
    qkv: &[f32],
    attended: &[f32],
    lse: &[f32],
    d_attended: &[f32],
    d_qkv: &mut [f32],
) {
    shape.check(qkv);
    assert_eq!(lse.len(), shape.lse_len(), "lse of {shape:?}");
    let (rows, seq, d_head) = (shape.rows(), shape.seq, shape.d_head);
    let qkv = Matrix::new(qkv, rows, shape.qkv_width());
    let attended = Matrix::new(attended, rows, shape.attended_width());
    let d_attended = Matrix::new(d_attended, rows, shape.attended_width());
    let mut tasks = Vec::new();
    let sequences = MatrixMut::new(d_qkv, rows, shape.qkv_width()).split_rows(seq);
    for (sequence, gradient) in sequences.enumerate() {
        let mut columns: Vec<_> = gradient.split_columns(d_head).collect();
        let d_values = columns.split_off(shape.prepared_heads());
        let d_keys = columns.split_off(shape.heads);
        let tokens = sequence * seq..(sequence + 1) * seq;
        let mut query_heads = columns.into_iter().enumerate().map(|(head, d_queries)| {
            let columns = head * d_head..(head + 1) * d_head;
            QueryHead {
                head: shape.head(qkv, sequence, head),
                attended: attended.rows(tokens.clone()).columns(columns.clone()),
                d_attended: d_attended.rows(tokens.clone()).columns(columns),
                lse: &lse[(sequence * shape.heads + head) * seq..][..seq],
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
    tasks
        .into_par_iter()
        .for_each(|task| task.run(shape.scale()));
}

/// A key head of one sequence and the query heads it serves.
struct Task<'a> {
    query_heads: Vec<QueryHead<'a>>,
    d_keys: MatrixMut<'a>,
    d_values: MatrixMut<'a>,
}

/// What the gradient of one query head is computed from, and its place.
struct QueryHead<'a> {
    head: Head<'a>,
    attended: Matrix<'a>,
    d_attended: Matrix<'a>,
    lse: &'a [f32],
    d_queries: MatrixMut<'a>,
}

impl Task<'_> {
    fn run(mut self, scale: f32) {
        let [seq, _] = self.d_keys.shape();
        for token in 0..seq {
            self.d_keys.row(token).fill(0.0);
            self.d_values.row(token).fill(0.0);
        }
        for mut query_head in self.query_heads {
            for first in (0..seq).step_by(QUERIES) {
                let queries = Queries {
                    first,
                    count: QUERIES.min(seq - first),
                };
                query_head.tile_gradient(
                    queries,
                    scale,
                    self.d_keys.reborrow(),
                    self.d_values.reborrow(),
                );
            }
        }
    }
}

impl QueryHead<'_> {
    /// Writes the gradient of a tile of queries and adds its part to those of keys and values.
    fn tile_gradient(
        &mut self,
        queries: Queries,
        scale: f32,
        mut d_keys: MatrixMut<'_>,
        mut d_values: MatrixMut<'_>,
    ) {
        let positions = queries.positions();
        let query_rows = self.head.queries.rows(positions.clone());
        let d_attended = self.d_attended.rows(positions.clone());
        let attended = self.attended.rows(positions.clone());
        let softmax = FinishedSoftmax::new(&self.lse[positions.clone()], attended, d_attended);
        let ([_, d_head], width) = (query_rows.shape(), queries.width());
        let (rows, tile) = (d_head * width, KEYS * width);
        let lengths = [rows, rows, rows, rows, tile, tile, KEYS * d_head];
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
                    softmax.differentiate(scores, d_weights, queries, keys.start);
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
    }
}

/// What the softmax of each query came to.
struct FinishedSoftmax {
    /// The logarithm of the sum of `exp(score)`.
    lse: [f32; QUERIES],
    /// The sum of weight · d_weight over its keys, which is `dO·O`.
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

    /// Replaces scores by weights, and the gradients of weights by those of scores; the first key is
    /// `first_key`.
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
    ) {
        let width = queries.width();
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
                    let scores = scores.as_chunks_mut::<LANES>().0.iter_mut();
                    let d_weights = d_weights.as_chunks_mut::<LANES>().0.iter_mut();
                    let softmax = lse.iter().zip(mean);
                    for ((score, d_weight), (lse, mean)) in
                        scores.zip(d_weights).zip(softmax).skip(hidden)
                    {
                        for lane in 0..LANES {
                            score[lane] = exp(score[lane] - lse[lane]);
                            d_weight[lane] = score[lane] * (d_weight[lane] - mean[lane]);
                        }
                    }
                }
            },
        );
    }
}
