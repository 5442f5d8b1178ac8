//! Queries, keys and values of attention: from the rows of one product to heads apart, with bias and rotary embedding, and
//! their gradients on the way back.
//!
//! A row holds the queries of every head, then the keys, then the values. With the tables' cosines c and sines s, where
//! s is negative for the first number of a pair and i′ is the other number of i's pair,
//!
//! ```text
//! y_i = (x_i + b_i) · c_i + (x_i′ + b_i′) · s_i           queries and keys (Su et al. 2021, arXiv 2104.09864)
//! dx_i = dy_i · c_i + dy_i′ · s_i′
//! ```
//!
//! and values are as they are. Keys and values are repeated for the query heads that they serve; their gradients are sums
//! over these.

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use cubecl::prelude::*;

use crate::rows::{LINE, cube_count};
use crate::tensor::{CubeTensor, check, empty, matrix};

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

/// Heads apart, `[batch, queries, seq, d_head]` each.
#[derive(Clone, Debug)]
pub struct Heads {
    /// Rotated queries.
    pub queries: CubeTensor,
    /// Rotated keys, each for the query heads that it serves.
    pub keys: CubeTensor,
    /// Values, likewise.
    pub values: CubeTensor,
}

impl Layout {
    /// Returns the numbers of a row.
    pub fn width(&self) -> usize {
        (self.queries + 2 * self.keys) * self.d_head
    }

    fn check(&self, tables: Tables<'_>) {
        assert!(
            self.queries.is_multiple_of(self.keys) && self.d_head.is_multiple_of(2),
            "{self:?}"
        );
        for table in [tables.cos, tables.sin] {
            check(table);
            assert_eq!(matrix(table), [self.seq, self.d_head], "a rotary table");
        }
    }

    fn sizes(&self) -> SizesLaunch {
        SizesLaunch::new(self.seq, self.queries, self.keys, self.d_head)
    }

    fn of_heads(&self) -> [usize; 4] {
        [self.batch, self.queries, self.seq, self.d_head]
    }
}

/// Takes heads out of rows.
///
/// # Shapes
///
/// `rows`: `[batch · seq, width]`; `bias`: `[queries + keys, d_head]`.
///
/// # Panics
///
/// Panics where a tensor is not contiguous f32, or shapes do not fit.
pub fn split(
    layout: Layout,
    rows: &CubeTensor,
    bias: Option<&CubeTensor>,
    tables: Tables<'_>,
) -> Heads {
    layout.check(tables);
    check(rows);
    assert_eq!(matrix(rows), [layout.batch * layout.seq, layout.width()]);
    if let Some(bias) = bias {
        check(bias);
        let biased = layout.queries + layout.keys;
        assert_eq!(
            matrix(bias),
            [biased, layout.d_head],
            "a bias for each head"
        );
    }
    let [queries, keys, values] = [(); 3].map(|()| empty(rows, layout.of_heads()));
    let count = queries.shape().num_elements();
    split_kernel::launch(
        &rows.client,
        cube_count(count.div_ceil(LINE)),
        CubeDim::new_1d(LINE as u32),
        rows.clone().into_buffer_arg(),
        // A buffer stands in the place of one that is not there; the kernel does not read it.
        bias.unwrap_or(rows).clone().into_buffer_arg(),
        tables.cos.clone().into_buffer_arg(),
        tables.sin.clone().into_buffer_arg(),
        queries.clone().into_buffer_arg(),
        keys.clone().into_buffer_arg(),
        values.clone().into_buffer_arg(),
        count,
        layout.sizes(),
        bias.is_some(),
    );
    Heads {
        queries,
        keys,
        values,
    }
}

/// Returns the gradient of rows for that of their heads; the bias has the same, summed over the rows.
///
/// # Shapes
///
/// As [`split`].
///
/// # Panics
///
/// As [`split`].
pub fn merge(layout: Layout, gradients: &Heads, tables: Tables<'_>) -> CubeTensor {
    layout.check(tables);
    for heads in [&gradients.queries, &gradients.keys, &gradients.values] {
        check(heads);
        assert_eq!(heads.shape(), Shape::from(layout.of_heads()), "heads apart");
    }
    let out = empty(
        &gradients.queries,
        [layout.batch * layout.seq, layout.width()],
    );
    let count = out.shape().num_elements();
    merge_kernel::launch(
        &out.client,
        cube_count(count.div_ceil(LINE)),
        CubeDim::new_1d(LINE as u32),
        gradients.queries.clone().into_buffer_arg(),
        gradients.keys.clone().into_buffer_arg(),
        gradients.values.clone().into_buffer_arg(),
        tables.cos.clone().into_buffer_arg(),
        tables.sin.clone().into_buffer_arg(),
        out.clone().into_buffer_arg(),
        count,
        layout.sizes(),
    );
    out
}

/// The sizes that kernels read.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
struct Sizes {
    seq: usize,
    queries: usize,
    keys: usize,
    d_head: usize,
}

/// Writes one number of a query, and of the key and the value beside it, in each unit.
#[cube(launch)]
fn split_kernel(
    rows: &[f32],
    bias: &[f32],
    cos: &[f32],
    sin: &[f32],
    queries: &mut [f32],
    keys: &mut [f32],
    values: &mut [f32],
    count: usize,
    sizes: Sizes,
    #[comptime] biased: bool,
) {
    let at = ABSOLUTE_POS;
    if at < count {
        let d_head = sizes.d_head;
        let i = at % d_head;
        let position = at / d_head % sizes.seq;
        let head = at / (d_head * sizes.seq) % sizes.queries;
        let sequence = at / (d_head * sizes.seq * sizes.queries);
        let width = (sizes.queries + 2 * sizes.keys) * d_head;
        let row = (sequence * sizes.seq + position) * width;
        let served = sizes.queries + head * sizes.keys / sizes.queries;
        let c = cos[position * d_head + i];
        let s = sin[position * d_head + i];
        let query = head * d_head;
        let own = with_bias(rows, bias, row, query + i, biased);
        let other = with_bias(rows, bias, row, query + partner(i), biased);
        queries[at] = own * c + other * s;
        let key = served * d_head;
        let own = with_bias(rows, bias, row, key + i, biased);
        let other = with_bias(rows, bias, row, key + partner(i), biased);
        keys[at] = own * c + other * s;
        values[at] = rows[row + (served + sizes.keys) * d_head + i];
    }
}

/// Returns the number of a row in a column, after the bias where there is one.
#[cube]
fn with_bias(
    rows: &[f32],
    bias: &[f32],
    row: usize,
    column: usize,
    #[comptime] biased: bool,
) -> f32 {
    let mut x = rows[row + column];
    if comptime!(biased) {
        x += bias[column];
    }
    x
}

/// Writes one number of a row's gradient in each unit.
#[cube(launch)]
fn merge_kernel(
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
    cos: &[f32],
    sin: &[f32],
    out: &mut [f32],
    count: usize,
    sizes: Sizes,
) {
    let at = ABSOLUTE_POS;
    if at < count {
        let d_head = sizes.d_head;
        let width = (sizes.queries + 2 * sizes.keys) * d_head;
        let column = at % width;
        let row = at / width;
        let sequence = row / sizes.seq;
        let position = row % sizes.seq;
        let head = column / d_head;
        let i = column % d_head;
        let angle = position * d_head;
        let c = cos[angle + i];
        let s = sin[angle + partner(i)];
        let group = sizes.queries / sizes.keys;
        // The first number of a head at this position, in a tensor of heads apart.
        let matrix = sizes.seq * d_head;
        let base = sequence * sizes.queries * matrix + angle;
        let mut sum = 0.0f32;
        if head < sizes.queries {
            let first = base + head * matrix;
            sum = queries[first + i] * c + queries[first + partner(i)] * s;
        } else if head < sizes.queries + sizes.keys {
            let mut first = base + (head - sizes.queries) * group * matrix;
            let end = first + group * matrix;
            while first < end {
                sum += keys[first + i] * c + keys[first + partner(i)] * s;
                first += matrix;
            }
        } else {
            let mut first = base + (head - sizes.queries - sizes.keys) * group * matrix;
            let end = first + group * matrix;
            while first < end {
                sum += values[first + i];
                first += matrix;
            }
        }
        out[at] = sum;
    }
}

/// Returns the place of the other number of a pair.
#[cube]
fn partner(i: usize) -> usize {
    i + 1 - 2 * (i % 2)
}

#[cfg(test)]
mod tests;
