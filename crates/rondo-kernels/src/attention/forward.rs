//! The forward pass: one task per sequence or segment, head and tile of queries.

use rayon::prelude::*;

use super::edges::{Edges, Gated, Place, Tally, Threshold, Ungated};
use super::gate::{Gate, Opening, Openness, check_head_bias};
use super::noise::HeadNoise;
use super::open_edges::MOST_OPEN;
use super::scratch::{packed, with_scratch};
use super::segments::parts;
use super::tile::{KEYS, QUERIES, Queries, scale_rows};
use super::{Head, Segments, Shape};
use crate::matrix::{Matrix, MatrixMut};
use crate::vector::{LANES, exp, vectorized};

/// Lets every token attend to itself and to the earlier tokens of its sequence, or of its segment
/// if `segments` are given.
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
pub fn forward(
    shape: Shape,
    segments: Option<&Segments>,
    qkv: &[f32],
    attended: &mut [f32],
    lse: &mut [f32],
) {
    attend(shape, segments, qkv, attended, lse, |_, _| Ungated);
}

/// Does what [`forward`] does, over whole sequences and with gates; returns how open the gates
/// were.
///
/// # Shapes
///
/// As for [`forward`]; `head_bias`, which is added to the bias of the gates: `[heads]`.
///
/// # Panics
///
/// Panics where a length does not fit the shape.
pub fn forward_gated(
    shape: Shape,
    gate: Gate,
    head_bias: Option<&[f32]>,
    qkv: &[f32],
    attended: &mut [f32],
    lse: &mut [f32],
) -> Openness {
    check_head_bias(head_bias, shape);
    let tiles = match gate.opening {
        Opening::Drawn { key } => attend(shape, None, qkv, attended, lse, |sequence, head| {
            let bias = gate.bias_of(head_bias, head);
            Gated::new(HeadNoise::new(key, sequence, head), bias, gate.pull(shape))
        }),
        Opening::Threshold => attend(shape, None, qkv, attended, lse, |_, head| {
            let bias = gate.bias_of(head_bias, head);
            Gated::new(Threshold, bias, gate.pull(shape))
        }),
    };
    let mut openness = Openness {
        expected: vec![0.0; shape.heads],
        open: vec![0; shape.heads],
        edges: shape.edges(),
    };
    for Tile {
        head,
        expected,
        open,
    } in tiles
    {
        openness.expected[head] += expected;
        openness.open[head] += open;
    }
    openness
}

/// The sums over the gates of one tile of queries.
struct Tile {
    head: usize,
    expected: f64,
    open: u64,
}

/// Attends with the factor per edge that `edges` returns for a sequence and a head. Returns the
/// counts of open gates per tile, in the order of sequences, heads and tiles.
fn attend<E: Edges>(
    shape: Shape,
    segments: Option<&Segments>,
    qkv: &[f32],
    attended: &mut [f32],
    lse: &mut [f32],
    edges: impl Fn(usize, usize) -> E,
) -> Vec<Tile> {
    shape.check(qkv);
    shape.check_segments(segments);
    assert_eq!(lse.len(), shape.lse_len(), "lse of {shape:?}");
    let qkv = Matrix::new(qkv, shape.rows(), shape.qkv_width());
    let sequences = MatrixMut::new(attended, shape.rows(), shape.attended_width())
        .split_rows(shape.seq)
        .zip(lse.chunks_mut(shape.heads * shape.seq))
        .enumerate();
    let mut tasks = Vec::new();
    for (sequence, (attended, lse)) in sequences {
        let parts = parts(segments, sequence, shape.seq);
        let heads = attended
            .split_columns(shape.d_head)
            .zip(lse.chunks_mut(shape.seq))
            .enumerate();
        for (index, (mut attended, mut lse)) in heads {
            let head = shape.head(qkv, sequence, index);
            let edges = edges(sequence, index);
            for part in &parts {
                let (own, rest) = attended.split_rows_at(part.len());
                let (own_lse, rest_lse) = lse.split_at_mut(part.len());
                (attended, lse) = (rest, rest_lse);
                let head = head.tokens(part.clone());
                let tiles = own
                    .split_rows(QUERIES)
                    .zip(own_lse.chunks_mut(QUERIES))
                    .enumerate();
                tasks.extend(tiles.map(|(tile, (attended, lse))| Task {
                    index,
                    head,
                    edges,
                    queries: Queries {
                        first: tile * QUERIES,
                        count: lse.len(),
                    },
                    attended,
                    lse,
                }));
            }
        }
    }
    tasks
        .into_par_iter()
        .map(|task| task.run(shape.scale()))
        .collect()
}

/// A tile of queries of one head.
struct Task<'a, E> {
    index: usize,
    head: Head<'a>,
    edges: E,
    queries: Queries,
    attended: MatrixMut<'a>,
    lse: &'a mut [f32],
}

impl<E: Edges> Task<'_, E> {
    fn run(mut self, scale: f32) -> Tile {
        let queries = self.queries;
        let [_, d_head] = self.attended.shape();
        let width = queries.width();
        let sums = match E::CLOSE {
            true => queries.count * d_head,
            false => 0,
        };
        let lengths = [d_head * width, KEYS * width, KEYS * d_head, sums];
        let mut counted = Tile {
            head: self.index,
            expected: 0.0,
            open: 0,
        };
        with_scratch(lengths, |[turned, tile, values, sums]| {
            queries.turn(self.head.queries.rows(queries.positions()), scale, turned);
            let mut softmax = OnlineSoftmax::new();
            for keys in queries.key_tiles() {
                let tile = &mut tile[..keys.len() * width];
                let key_rows = self.head.keys.rows(keys.clone());
                let values = packed(self.head.values.rows(keys.clone()), values);
                queries.inner_products(tile, keys.clone(), key_rows, turned);
                queries.hide_the_future(tile, keys.clone());
                let tally = softmax.absorb(tile, queries, keys.start, self.edges);
                if keys.start > 0 {
                    scale_rows(&mut self.attended, &softmax.shrink[..queries.count]);
                }
                let out = self.attended.reborrow();
                let open = self.edges.open_edges(&tally, queries.count);
                if E::CLOSE {
                    counted.expected += tally.expected.total(queries.count);
                    counted.open += tally.open.total(queries.count) as u64;
                }
                if open < MOST_OPEN * (keys.len() * queries.count) as f64 {
                    queries.gather_from_open_keys(out, tile, keys, values, sums);
                } else {
                    queries.gather_from_keys(out, 1.0, tile, keys, values);
                }
            }
            let inverse = softmax.sum.map(|sum| 1.0 / sum);
            scale_rows(&mut self.attended, &inverse[..queries.count]);
            for (query, lse) in self.lse.iter_mut().enumerate() {
                *lse = softmax.largest[query] + softmax.sum[query].ln();
            }
        });
        counted
    }
}

/// The softmax of each query over the tiles of keys seen so far (arXiv 2307.08691, algorithm 1).
struct OnlineSoftmax {
    /// The largest score.
    largest: [f32; QUERIES],
    /// The sum of `exp(score − largest)`.
    sum: [f32; QUERIES],
    /// The factor for the sums of earlier tiles: `exp(largest before − largest)`.
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

    /// Replaces each score of a tile by `exp(score − largest)` times the factor of its edge;
    /// returns how open the edges are. `first_key` is the first key of the tile.
    ///
    /// # Shapes
    ///
    /// `tile`: `[keys, width]`.
    fn absorb(
        &mut self,
        tile: &mut [f32],
        queries: Queries,
        first_key: usize,
        edges: impl Edges,
    ) -> Tally {
        let width = queries.width();
        let before = self.largest;
        let mut tally = Tally::zeros();
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
                    let running = largest.iter().zip(&mut *sum).enumerate();
                    let row = edges.row(key);
                    for (scores, (vector, (largest, sum))) in scores.zip(running).skip(hidden) {
                        let mut weights = [0.0; LANES];
                        for lane in 0..LANES {
                            weights[lane] = exp(scores[lane] - largest[lane]);
                            sum[lane] += weights[lane];
                        }
                        let query = queries.first + vector * LANES;
                        let place = Place { row, query, vector };
                        edges.weigh(place, scores, &mut weights, &mut tally);
                        *scores = weights;
                    }
                }
            },
        );
        tally
    }
}
