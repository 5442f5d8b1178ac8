//! The forward: one task per sequence, head and tile of queries.

use rayon::prelude::*;

use super::scratch::{packed, with_scratch};
use super::tile::{KEYS, QUERIES, Queries, scale_rows};
use super::{Head, Shape};
use crate::matrix::{Matrix, MatrixMut};
use crate::vector::{LANES, exp, vectorized};

/// Attends every token to itself and those before it in its sequence.
///
/// `lse` becomes the natural logarithm of `Σ_j exp(q·k_j / √d_head)` over the keys that a query
/// sees.
///
/// # Shapes
///
/// `qkv`: `[batch · seq, qkv_width]`, prepared; `attended`: `[batch · seq, heads · d_head]`; `lse`:
/// `[batch, heads, seq]`. The last two are overwritten.
///
/// # Panics
///
/// Panics where a length does not fit the shape.
pub fn forward(shape: Shape, qkv: &[f32], attended: &mut [f32], lse: &mut [f32]) {
    shape.check(qkv);
    assert_eq!(lse.len(), shape.lse_len(), "lse of {shape:?}");
    let qkv = Matrix::new(qkv, shape.rows(), shape.qkv_width());
    let heads = MatrixMut::new(attended, shape.rows(), shape.attended_width())
        .split_rows(shape.seq)
        .flat_map(|sequence| sequence.split_columns(shape.d_head))
        .zip(lse.chunks_mut(shape.seq))
        .enumerate();
    let mut tasks = Vec::new();
    for (index, (attended, lse)) in heads {
        let head = shape.head(qkv, index / shape.heads, index % shape.heads);
        let tiles = attended
            .split_rows(QUERIES)
            .zip(lse.chunks_mut(QUERIES))
            .enumerate();
        tasks.extend(tiles.map(|(tile, (attended, lse))| Task {
            head,
            queries: Queries {
                first: tile * QUERIES,
                count: lse.len(),
            },
            attended,
            lse,
        }));
    }
    tasks
        .into_par_iter()
        .for_each(|task| task.run(shape.scale()));
}

/// A tile of queries of one head.
struct Task<'a> {
    head: Head<'a>,
    queries: Queries,
    attended: MatrixMut<'a>,
    lse: &'a mut [f32],
}

impl Task<'_> {
    fn run(mut self, scale: f32) {
        let queries = self.queries;
        let [_, d_head] = self.attended.shape();
        let width = queries.width();
        let lengths = [d_head * width, KEYS * width, KEYS * d_head];
        with_scratch(lengths, |[turned, tile, values]| {
            queries.turn(self.head.queries.rows(queries.positions()), scale, turned);
            let mut softmax = OnlineSoftmax::new();
            for keys in queries.key_tiles() {
                let tile = &mut tile[..keys.len() * width];
                let key_rows = self.head.keys.rows(keys.clone());
                let values = packed(self.head.values.rows(keys.clone()), values);
                queries.inner_products(tile, keys.clone(), key_rows, turned);
                queries.hide_the_future(tile, keys.clone());
                softmax.absorb(tile, queries, keys.start);
                if keys.start > 0 {
                    scale_rows(&mut self.attended, &softmax.shrink[..queries.count]);
                }
                queries.gather_from_keys(self.attended.reborrow(), 1.0, tile, keys, values);
            }
            let inverse = softmax.sum.map(|sum| 1.0 / sum);
            scale_rows(&mut self.attended, &inverse[..queries.count]);
            for (query, lse) in self.lse.iter_mut().enumerate() {
                *lse = softmax.largest[query] + softmax.sum[query].ln();
            }
        });
    }
}

/// The softmax of each query so far, over the tiles of keys seen (arXiv 2307.08691, algorithm 1).
struct OnlineSoftmax {
    /// The largest score.
    largest: [f32; QUERIES],
    /// The sum of `exp(score − largest)`.
    sum: [f32; QUERIES],
    /// What sums of earlier tiles are to be multiplied by: `exp(largest before − largest)`.
    shrink: [f32; QUERIES],
}

impl OnlineSoftmax {
    fn new() -> Self {
        Self {
            largest: [f32::NEG_INFINITY; QUERIES],
            sum: [0.0; QUERIES],
            shrink: [0.0; QUERIES],
        }
    }

    /// Replaces the scores of a tile, whose first key is `first_key`, by `exp(score − largest)`.
    ///
    /// # Shapes
    ///
    /// `tile`: `[keys, width]`.
    fn absorb(&mut self, tile: &mut [f32], queries: Queries, first_key: usize) {
        let width = queries.width();
        let before = self.largest;
        vectorized(
            #[inline(always)]
            || {
                let largest = self.largest.as_chunks_mut::<LANES>().0;
                let sum = self.sum.as_chunks_mut::<LANES>().0;
                for (row, key) in tile.chunks_exact(width).zip(first_key..) {
                    let hidden = queries.hidden_vectors(key);
                    let scores = row.as_chunks::<LANES>().0.iter();
                    for (scores, largest) in scores.zip(&mut *largest).skip(hidden) {
                        for lane in 0..LANES {
                            largest[lane] = if scores[lane] > largest[lane] {
                                scores[lane]
                            } else {
                                largest[lane]
                            };
                        }
                    }
                }
                for (query, shrink) in self.shrink.iter_mut().enumerate().take(width) {
                    *shrink = exp(before[query] - largest.as_flattened()[query]);
                    sum.as_flattened_mut()[query] *= *shrink;
                }
                for (row, key) in tile.chunks_exact_mut(width).zip(first_key..) {
                    let hidden = queries.hidden_vectors(key);
                    let scores = row.as_chunks_mut::<LANES>().0.iter_mut();
                    let running = largest.iter().zip(&mut *sum);
                    for (scores, (largest, sum)) in scores.zip(running).skip(hidden) {
                        for lane in 0..LANES {
                            scores[lane] = exp(scores[lane] - largest[lane]);
                            sum[lane] += scores[lane];
                        }
                    }
                }
            },
        );
    }
}
