//! The forward: one task per sequence, head and tile of queries.

use rayon::prelude::*;

use super::tile::{KEYS, QUERIES, Queries, scale_rows, with_scratch};
use super::tile_product::{Left, tile_product};
use super::{Head, Shape};
use crate::matrix::{Matrix, MatrixMut, Write};
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
        let (turned, tile) = (d_head * queries.width(), KEYS * queries.width());
        with_scratch(turned + tile, |scratch| {
            let (turned, tile) = scratch.split_at_mut(turned);
            queries.turn(self.head.queries.rows(queries.positions()), scale, turned);
            let mut softmax = OnlineSoftmax::new();
            for keys in queries.key_tiles() {
                let tile = &mut tile[..keys.len() * queries.width()];
                queries.inner_products(tile, self.head.keys.rows(keys.clone()), turned);
                queries.hide_the_future(tile, keys.clone());
                softmax.absorb(tile, queries.width());
                let write = if keys.start == 0 {
                    Write::Replace
                } else {
                    scale_rows(&mut self.attended, &softmax.shrink[..queries.count]);
                    Write::Add
                };
                tile_product(
                    self.attended.reborrow(),
                    write,
                    1.0,
                    Left::Transposed(queries.view(tile)),
                    self.head.values.rows(keys),
                );
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

    /// Replaces the scores of a tile by `exp(score − largest)`.
    ///
    /// # Shapes
    ///
    /// `tile`: `[keys, width]`.
    fn absorb(&mut self, tile: &mut [f32], width: usize) {
        vectorized(
            #[inline(always)]
            || {
                let largest = self.largest.as_chunks_mut::<LANES>().0;
                let sum = self.sum.as_chunks_mut::<LANES>().0;
                let shrink = self.shrink.as_chunks_mut::<LANES>().0;
                let columns = largest.iter_mut().zip(sum).zip(shrink);
                for (column, ((largest, sum), shrink)) in columns.enumerate().take(width / LANES) {
                    let before = *largest;
                    for row in tile.chunks_exact(width) {
                        let scores = &row.as_chunks::<LANES>().0[column];
                        for lane in 0..LANES {
                            largest[lane] = if scores[lane] > largest[lane] {
                                scores[lane]
                            } else {
                                largest[lane]
                            };
                        }
                    }
                    for lane in 0..LANES {
                        shrink[lane] = exp(before[lane] - largest[lane]);
                        sum[lane] *= shrink[lane];
                    }
                    for row in tile.chunks_exact_mut(width) {
                        let scores = &mut row.as_chunks_mut::<LANES>().0[column];
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
