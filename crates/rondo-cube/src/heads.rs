//! The layout of queries, keys and values in the rows of one product, and the rotary embedding of
//! queries and keys (Su et al. 2021, arXiv 2104.09864).
//!
//! A row holds the queries of every head, then the keys, then the values. The tables hold cosines c
//! and sines s; s is negative for the first number of a pair. The other number of i's pair is i′:
//!
//! ```text
//! y_i = (x_i + b_i) · c_i + (x_i′ + b_i′) · s_i           queries and keys
//! dx_i = dy_i · c_i + dy_i′ · s_i′
//! ```
//!
//! Values are not rotated. Attention rotates queries and keys when it reads them; this module
//! rotates their gradients back.

use cubecl::prelude::*;

use crate::rows::{LINE, cube_count};
use crate::tensor::{CubeTensor, check, matrix};

/// The layout of heads in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Sequences.
    pub batch: usize,
    /// Positions of each sequence.
    pub seq: usize,
    /// Query heads.
    pub queries: usize,
    /// Key heads; their number divides that of query heads, and there are as many value heads.
    pub keys: usize,
    /// Numbers of a head; even, since they are rotated in pairs.
    pub d_head: usize,
}

/// The tables of the rotary embedding, `[seq, d_head]` each.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// Cosines, each stored twice.
    pub cos: &'a CubeTensor,
    /// Sines, each stored twice: negated, then as is.
    pub sin: &'a CubeTensor,
}

impl Layout {
    /// Returns the width of a row.
    pub fn width(&self) -> usize {
        (self.queries + 2 * self.keys) * self.d_head
    }

    pub(crate) fn check(&self, tables: Tables<'_>) {
        assert!(
            self.queries.is_multiple_of(self.keys) && self.d_head.is_multiple_of(2),
            "{self:?}"
        );
        for table in [tables.cos, tables.sin] {
            check(table);
            assert_eq!(matrix(table), [self.seq, self.d_head], "a rotary table");
        }
    }
}

/// Rotates the gradients of queries and keys back by the angles of the rotary embedding, in place,
/// and returns the rows.
///
/// # Shapes
///
/// `rows`: `[batch · seq, width]`, without other references to its memory; `firsts`: i32,
/// `[batch, seq]`, for each token the place in its row of the first token of its segment. Without
/// `firsts`, positions do not restart.
///
/// # Panics
///
/// Panics if a tensor is not contiguous f32 or the shapes do not fit.
pub(crate) fn turn_back(
    layout: Layout,
    rows: CubeTensor,
    tables: Tables<'_>,
    firsts: Option<&CubeTensor>,
) -> CubeTensor {
    layout.check(tables);
    let turned = (layout.queries + layout.keys) * layout.d_head;
    let count = layout.batch * layout.seq * turned / 2;
    turn_back_kernel::launch(
        &rows.client,
        cube_count(count.div_ceil(LINE)),
        CubeDim::new_1d(LINE as u32),
        rows.clone().into_buffer_arg(),
        tables.cos.clone().into_buffer_arg(),
        tables.sin.clone().into_buffer_arg(),
        // If there are no first places, any buffer takes their place; the kernel does not read it.
        firsts.unwrap_or(&rows).clone().into_buffer_arg(),
        count,
        turned,
        layout.width(),
        layout.seq,
        layout.d_head,
        firsts.is_some(),
    );
    rows
}

/// Rotates one pair of numbers in each unit.
#[cube(launch)]
fn turn_back_kernel(
    rows: &mut [f32],
    cos: &[f32],
    sin: &[f32],
    firsts: &[i32],
    count: usize,
    turned: usize,
    width: usize,
    seq: usize,
    d_head: usize,
    #[comptime] cut: bool,
) {
    let at = ABSOLUTE_POS;
    if at < count {
        let pairs = turned / 2;
        let row = at / pairs;
        let column = at % pairs * 2;
        let mut position = row % seq;
        if comptime!(cut) {
            position -= firsts[row] as usize;
        }
        let first = row * width + column;
        let angle = position * d_head + column % d_head;
        let (a, b) = (rows[first], rows[first + 1]);
        rows[first] = a * cos[angle] + b * sin[angle + 1];
        rows[first + 1] = b * cos[angle + 1] + a * sin[angle];
    }
}

#[cfg(test)]
mod tests;
