//! The layout of queries, keys and values in the rows of one product, and the rotary embedding of
//! queries and keys (Su et al. 2021, arXiv 2104.09864).
//!
//! A row holds the queries of every head, then the keys, then the values. A table holds cosines c
//! or sines s. The numbers of a head form pairs; i′ is the other number of the pair of i, and s is
//! negative for the first number of a pair:
//!
//! ```text
//! y_i = (x_i + b_i) · c_i + (x_i′ + b_i′) · s_i           queries and keys
//! dx_i = dy_i · c_i + dy_i′ · s_i′
//! ```
//!
//! Values are not rotated. The attention kernels rotate queries and keys when they read them; this
//! module rotates the gradients back.

use cubecl::prelude::*;

use crate::rows::{LINE, cube_count};
use crate::tensor::{CubeTensor, check, matrix};

/// The layout of heads in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The number of sequences.
    pub batch: usize,
    /// The number of positions in each sequence.
    pub seq: usize,
    /// The number of query heads.
    pub queries: usize,
    /// The number of key heads, which is also the number of value heads; a divisor of `queries`.
    pub keys: usize,
    /// The number of elements of a head; even, since they are rotated in pairs.
    pub d_head: usize,
}

/// The tables of the rotary embedding, `[seq, d_head]` each.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// The cosines. The two numbers of a pair have the same cosine.
    pub cos: &'a CubeTensor,
    /// The sines. The first number of a pair has the negated sine, the second number the sine
    /// itself.
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

/// Rotates the gradients of queries and keys back by the angles of the rotary embedding, in place.
/// Returns the rows.
///
/// # Shapes
///
/// `rows`: `[batch · seq, width]`, with no other reference to its memory; `firsts`: i32,
/// `[batch, seq]`. For each token, `firsts` holds the position, within the row, of the first token
/// of its segment. Without `firsts`, positions do not restart.
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
        // Without `firsts`, any buffer is passed in its place; the kernel does not read it.
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

/// Rotates one pair of numbers per unit.
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
