//! The operations on a tile of scores that the forward and the backward pass share.
//!
//! A tile has a row per key and a column per query, `[keys, width]`. The operations per query
//! (largest score, sum, logarithm) therefore work in the lanes of a vector, without sums across
//! lanes. Every product except [`Queries::gather_from_keys`] reads its left factor in memory order.

use std::ops::Range;

use super::tile_product::{Left, tile_product};
use crate::matrix::{Matrix, MatrixMut};
use crate::product::Write;
use crate::vector::{LANES, vectorized};

/// The maximum number of queries of a tile.
pub(super) const QUERIES: usize = 64;

/// The maximum number of keys of a tile. It is a multiple of [`QUERIES`], so the first key of a
/// tile is never after the first query, and every query sees at least one key of every tile.
pub(super) const KEYS: usize = 128;

/// A tile of queries. Its tiles of keys cover every key that at least one of the queries sees.
#[derive(Clone, Copy)]
pub(super) struct Queries {
    /// The position of the first query.
    pub(super) first: usize,
    /// The number of queries, at most [`QUERIES`].
    pub(super) count: usize,
}

impl Queries {
    /// Returns the number of columns of a tile: the queries, padded to whole vectors.
    pub(super) fn width(self) -> usize {
        self.count.next_multiple_of(LANES)
    }

    /// Returns the positions of the queries.
    pub(super) fn positions(self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// Returns the keys up to the last query, as one range per tile.
    pub(super) fn key_tiles(self) -> impl Iterator<Item = Range<usize>> {
        let end = self.first + self.count;
        (0..end)
            .step_by(KEYS)
            .map(move |start| start..end.min(start + KEYS))
    }

    /// Writes `scale · rowsᵀ` into `turned`, with zeros in the padding.
    ///
    /// # Shapes
    ///
    /// `rows`: `[count, d_head]`; `turned`: `[d_head, width]`.
    pub(super) fn turn(self, rows: Matrix<'_>, scale: f32, turned: &mut [f32]) {
        let width = self.width();
        if width > self.count {
            turned.fill(0.0);
        }
        let [_, d_head] = rows.shape();
        // Squares of 4 × 4 are transposed in registers, the remaining elements one by one.
        let (whole_queries, whole) = (self.count / 4 * 4, d_head / 4 * 4);
        vectorized(
            #[inline(always)]
            || {
                for query in (0..whole_queries).step_by(4) {
                    let rows: [&[[f32; 4]]; 4] =
                        std::array::from_fn(|i| rows.row(query + i).as_chunks().0);
                    for i in 0..whole / 4 {
                        let square = std::array::from_fn(|row| rows[row][i]);
                        turn_four(square, scale, &mut turned[4 * i * width + query..], width);
                    }
                }
            },
        );
        for query in 0..self.count {
            let row = rows.row(query);
            let start = match query < whole_queries {
                true => whole,
                false => 0,
            };
            for i in start..d_head {
                turned[i * width + query] = scale * row[i];
            }
        }
    }

    /// Returns how many vectors of the row of `key` hold only queries before `key`. These vectors
    /// are never read.
    #[inline(always)]
    pub(super) fn hidden_vectors(self, key: usize) -> usize {
        key.saturating_sub(self.first) / LANES
    }

    /// Cuts the keys into runs. Each run is paired with the first query that sees any key of the
    /// run, rounded down to a whole vector.
    fn key_runs(self, keys: Range<usize>) -> impl Iterator<Item = (Range<usize>, usize)> {
        let diagonal = self.first.clamp(keys.start, keys.end);
        let before = (keys.start < diagonal).then_some((keys.start..diagonal, 0));
        let on = (diagonal..keys.end)
            .step_by(LANES)
            .map(move |start| (start..keys.end.min(start + LANES), start - self.first));
        before.into_iter().chain(on)
    }

    /// Cuts the queries into runs. Each run is paired with the end of the keys that any query of
    /// the run sees.
    fn query_runs(self, keys: Range<usize>) -> impl Iterator<Item = (Range<usize>, usize)> {
        let run = match keys.end <= self.first {
            true => QUERIES,
            false => LANES,
        };
        (0..self.count).step_by(run).map(move |start| {
            let end = self.count.min(start + run);
            (start..end, keys.end.min(self.first + end))
        })
    }

    /// Writes the inner products of `rows` (keys or values) with the columns of `turned` into a
    /// tile, for the queries that see the key.
    ///
    /// # Shapes
    ///
    /// `tile`: `[keys, width]`; `rows`: `[keys, d_head]`; `turned`: `[d_head, width]`.
    pub(super) fn inner_products(
        self,
        tile: &mut [f32],
        keys: Range<usize>,
        rows: Matrix<'_>,
        turned: &[f32],
    ) {
        let width = self.width();
        let mut tile = MatrixMut::new(tile, keys.len(), width);
        let turned = Matrix::new(turned, turned.len() / width, width);
        for (run, query) in self.key_runs(keys.clone()) {
            let place = run.start - keys.start..run.end - keys.start;
            tile_product(
                tile.reborrow().rows(place.clone()).columns(query..width),
                Write::Replace,
                1.0,
                Left::Plain(rows.rows(place)),
                turned.columns(query..width),
            );
        }
    }

    /// Adds `scale · tile · rows` to `out`, which has a row per key.
    ///
    /// # Shapes
    ///
    /// `out`: `[keys, d_head]`; `tile`: `[keys, width]`; `rows`: `[count, d_head]`.
    pub(super) fn add_to_keys(
        self,
        mut out: MatrixMut<'_>,
        scale: f32,
        tile: &[f32],
        keys: Range<usize>,
        rows: Matrix<'_>,
    ) {
        let tile = Matrix::new(tile, keys.len(), self.width());
        for (run, query) in self.key_runs(keys.clone()) {
            let place = run.start - keys.start..run.end - keys.start;
            tile_product(
                out.reborrow().rows(place.clone()),
                Write::Add,
                scale,
                Left::Plain(tile.rows(place).columns(query..self.count)),
                rows.rows(query..self.count),
            );
        }
    }

    /// Writes `scale · tileᵀ · rows` into `out`, which has a row per query, for the first tile of
    /// keys. For later tiles it adds the product.
    ///
    /// # Shapes
    ///
    /// `out`: `[count, d_head]`; `tile`: `[keys, width]`; `rows`: `[keys, d_head]`.
    pub(super) fn gather_from_keys(
        self,
        mut out: MatrixMut<'_>,
        scale: f32,
        tile: &[f32],
        keys: Range<usize>,
        rows: Matrix<'_>,
    ) {
        let write = match keys.start {
            0 => Write::Replace,
            _ => Write::Add,
        };
        let tile = Matrix::new(tile, keys.len(), self.width());
        for (run, end) in self.query_runs(keys.clone()) {
            tile_product(
                out.reborrow().rows(run.clone()),
                write,
                scale,
                Left::Transposed(tile.rows(0..end - keys.start).columns(run)),
                rows.rows(0..end - keys.start),
            );
        }
    }

    /// Sets the scores of keys after the query to −∞, in the vectors that are read later.
    pub(super) fn hide_the_future(self, scores: &mut [f32], keys: Range<usize>) {
        let width = self.width();
        for key in keys.start.max(self.first)..keys.end {
            let row = &mut scores[(key - keys.start) * width..][..width];
            row[self.hidden_vectors(key) * LANES..key - self.first].fill(f32::NEG_INFINITY);
        }
    }
}

/// Writes `scale` times the transpose of a square of 4 × 4 elements.
#[inline(always)]
fn turn_four(rows: [[f32; 4]; 4], scale: f32, turned: &mut [f32], width: usize) {
    for i in 0..4 {
        let column = &mut turned[i * width..][..4];
        for query in 0..4 {
            column[query] = scale * rows[query][i];
        }
    }
}

/// Multiplies every row by its factor.
pub(super) fn scale_rows(rows: &mut MatrixMut<'_>, factors: &[f32]) {
    vectorized(
        #[inline(always)]
        || {
            for (index, &factor) in factors.iter().enumerate() {
                for x in rows.row(index) {
                    *x *= factor;
                }
            }
        },
    );
}
