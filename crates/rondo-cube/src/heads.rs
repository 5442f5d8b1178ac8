//! The queries, keys and values of attention in the rows of one product, and the rotary embedding of queries and keys.
//!
//! A row holds the queries of every head, then the keys, then the values. With the tables' cosines c and sines s, where
//! s is negative for the first number of a pair and i′ is the other number of i's pair,
//!
//! ```text
//! y_i = (x_i + b_i) · c_i + (x_i′ + b_i′) · s_i           queries and keys (Su et al. 2021, arXiv 2104.09864)
//! dx_i = dy_i · c_i + dy_i′ · s_i′
//! ```
//!
//! and values are as they are. Attention turns queries and keys where it reads them, and their gradients are turned back here.

use cubecl::prelude::*;

use crate::rows::{LINE, cube_count};
use crate::tensor::{CubeTensor, check, matrix};

/// How rows hold heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Sequences.
    pub batch: usize,
    /// Positions of each.
    pub seq: usize,
    /// Query heads.
    pub queries: usize,
    /// Key heads, which divide those of queries; as many heads of values.
    pub keys: usize,
    /// Numbers of a head, in pairs.
    pub d_head: usize,
}

/// The tables of the rotary embedding, `[seq, d_head]` each.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// Cosines, each twice.
    pub cos: &'a CubeTensor,
    /// Sines, each with a minus and with a plus.
    pub sin: &'a CubeTensor,
}

impl Layout {
    /// Returns the numbers of a row.
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

/// Turns the gradients of queries and keys in rows back by the angles of the rotary embedding, in their own memory, and returns
/// the rows.
///
/// # Shapes
///
/// `rows`: `[batch · seq, width]`, which nothing else holds; `firsts`: i32, `[batch, seq]`, the place in its row of the first token
/// of every token's segment, where positions start anew in segments.
///
/// # Panics
///
/// Panics where a tensor is not contiguous f32, or shapes do not fit.
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
        // A buffer stands in the place of one that is not there; the kernel does not read it.
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

/// Turns one pair of numbers in each unit.
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
