//! What both directions do with a tile of scores.
//!
//! A tile is kept with a row per key and a column per query, `[keys, width]`: what is done per
//! query (largest score, sum, logarithm) is then done in the lanes of a vector, without sums across
//! them, and every product but one has its left side as it lies in memory.

use std::cell::RefCell;
use std::ops::Range;

use super::tile_product::{Left, tile_product};
use crate::matrix::{Matrix, MatrixMut, Write};
use crate::vector::{LANES, vectorized};

/// Queries of a tile.
pub(super) const QUERIES: usize = 64;

/// Keys of a tile: a multiple of [`QUERIES`], so that the first key of a tile is never after its
/// first query, and every query has a key in every tile that is computed for it.
pub(super) const KEYS: usize = 256;

/// A tile of queries and the keys that any of them sees.
#[derive(Clone, Copy)]
pub(super) struct Queries {
    /// The position of the first.
    pub(super) first: usize,
    /// How many there are, at most [`QUERIES`].
    pub(super) count: usize,
}

impl Queries {
    /// Returns the columns of a tile: the queries, and padding up to whole vectors.
    pub(super) fn width(self) -> usize {
        self.count.next_multiple_of(LANES)
    }

    /// Returns the positions of the queries.
    pub(super) fn positions(self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// Returns the keys up to the last query, a tile at a time.
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
        vectorized(
            #[inline(always)]
            || {
                for first in (0..self.count).step_by(LANES) {
                    let rows = rows.rows(first..self.count.min(first + LANES));
                    turn_lanes(rows, scale, turned, width, first);
                }
            },
        );
    }

    /// Writes the inner products of keys (or values) with turned rows into a tile.
    ///
    /// # Shapes
    ///
    /// `tile`: `[keys, width]`; `keys`: `[keys, d_head]`; `turned`: `[d_head, width]`.
    pub(super) fn inner_products(self, tile: &mut [f32], keys: Matrix<'_>, turned: &[f32]) {
        let [count, d_head] = keys.shape();
        tile_product(
            MatrixMut::new(tile, count, self.width()),
            Write::Replace,
            1.0,
            Left::Plain(keys),
            Matrix::new(turned, d_head, self.width()),
        );
    }

    /// Gives keys after the query a score of −∞.
    pub(super) fn hide_the_future(self, scores: &mut [f32], keys: Range<usize>) {
        let width = self.width();
        for key in keys.start.max(self.first)..keys.end {
            let row = &mut scores[(key - keys.start) * width..][..width];
            row[..key - self.first].fill(f32::NEG_INFINITY);
        }
    }

    /// Views a tile without its padding, `[keys, count]`.
    pub(super) fn view(self, tile: &[f32]) -> Matrix<'_> {
        let width = self.width();
        Matrix::new(tile, tile.len() / width, width).columns(0..self.count)
    }
}

/// Writes at most [`LANES`] rows into the columns of `turned` from `first` on.
#[inline(always)]
fn turn_lanes(rows: Matrix<'_>, scale: f32, turned: &mut [f32], width: usize, first: usize) {
    let [count, d_head] = rows.shape();
    if count < LANES {
        for query in 0..count {
            for (column, &x) in turned.chunks_exact_mut(width).zip(rows.row(query)) {
                column[first + query] = scale * x;
            }
        }
        return;
    }
    let rows: [&[f32]; LANES] = std::array::from_fn(|query| &rows.row(query)[..d_head]);
    for (i, column) in turned.chunks_exact_mut(width).enumerate().take(d_head) {
        let column = &mut column[first..first + LANES];
        for query in 0..LANES {
            column[query] = scale * rows[query][i];
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Lends `work` this thread's scratch, its contents arbitrary, on the boundary of a cache line.
pub(super) fn with_scratch(length: usize, work: impl FnOnce(&mut [f32])) {
    const LINE: usize = 64;
    SCRATCH.with_borrow_mut(|scratch| {
        let room = length + LINE / size_of::<f32>();
        if scratch.len() < room {
            scratch.resize(room, 0.0);
        }
        let skip = scratch.as_ptr().align_offset(LINE).min(room - length);
        work(&mut scratch[skip..skip + length]);
    });
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
