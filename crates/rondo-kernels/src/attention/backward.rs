//! The backward: one task per sequence and key head, the owner of its columns of the gradient.
//!
//! With `P` the probabilities and `O` the result: `dV = Pᵀ·dO`, `dP = dO·Vᵀ`,
//! `dS = P ∘ (dP − rowsum(dO ∘ O))`, `dQ = dS·K / √d_head`, `dK = dSᵀ·Q / √d_head`
//! (arXiv 2307.08691, algorithm 2).

use rayon::prelude::*;

use super::tile::{KEYS, QUERIES, Queries, with_scratch};
use super::{Head, Shape};
use crate::matrix::{Matrix, MatrixMut};
use crate::vector::{LANES, dot, exp, vectorized};

/// Writes the gradient of the packed, prepared projection.
///
/// # Shapes
///
/// `qkv` and `d_qkv`: `[batch · seq, qkv_width]`; `attended` and `d_attended`:
/// `[batch · seq, heads · d_head]`; `lse`: `[batch, heads, seq]`. `qkv` is what [`super::forward`]
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
        let [seq, d_head] = self.d_keys.shape();
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
                let (turned, tile) = (d_head * queries.width(), KEYS * queries.width());
                with_scratch(2 * (turned + tile), |scratch| {
                    let (turned, tiles) = scratch.split_at_mut(2 * turned);
                    query_head.tile_gradient(
                        queries,
                        scale,
                        turned,
                        tiles,
                        self.d_keys.reborrow(),
                        self.d_values.reborrow(),
                    );
                });
            }
        }
    }
}

impl QueryHead<'_> {
    /// Writes the gradient of a tile of queries and adds its part to those of keys and values.
    ///
    /// # Shapes
    ///
    /// Scratch: `turned`: `[2, d_head, width]`; `tiles`: `[2, KEYS, width]`.
    fn tile_gradient(
        &mut self,
        queries: Queries,
        scale: f32,
        turned: &mut [f32],
        tiles: &mut [f32],
        mut d_keys: MatrixMut<'_>,
        mut d_values: MatrixMut<'_>,
    ) {
        let width = queries.width();
        let positions = queries.positions();
        let query_rows = self.head.queries.rows(positions.clone());
        let d_attended = self.d_attended.rows(positions.clone());
        let (turned_queries, turned_d_attended) = turned.split_at_mut(turned.len() / 2);
        queries.turn(query_rows, scale, turned_queries);
        queries.turn(d_attended, 1.0, turned_d_attended);
        let softmax = FinishedSoftmax::new(
            &self.lse[positions.clone()],
            self.attended.rows(positions.clone()),
            d_attended,
        );
        let (scores, d_weights) = tiles.split_at_mut(tiles.len() / 2);
        for keys in queries.key_tiles() {
            let scores = &mut scores[..keys.len() * width];
            let d_weights = &mut d_weights[..keys.len() * width];
            let Head {
                keys: key_rows,
                values,
                ..
            } = self.head;
            queries.inner_products(scores, keys.clone(), key_rows, turned_queries);
            queries.hide_the_future(scores, keys.clone());
            queries.inner_products(d_weights, keys.clone(), values, turned_d_attended);
            softmax.differentiate(scores, d_weights, queries, keys.start);
            let (weights, d_scores) = (&*scores, &*d_weights);
            queries.add_to_keys(d_values.reborrow(), 1.0, weights, keys.clone(), d_attended);
            queries.add_to_keys(d_keys.reborrow(), scale, d_scores, keys.clone(), query_rows);
            let d_queries = self.d_queries.reborrow().rows(positions.clone());
            queries.gather_from_keys(d_queries, scale, d_scores, keys, key_rows);
        }
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
