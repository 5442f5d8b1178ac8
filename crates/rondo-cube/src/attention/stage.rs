//! Rows of operands on their way into shared memory: with bias and rotary embedding where there are any, zero where a row or a
//! column is not there.

use cubecl::prelude::*;

use super::tile::{Four, Tile};

/// Where the rows of one operand lie in its buffer.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Place {
    /// The first number.
    pub(super) first: usize,
    /// Numbers from one sequence to the next.
    pub(super) sequence: usize,
    /// Numbers from one head to the next.
    pub(super) head: usize,
    /// Numbers from one position to the next.
    pub(super) position: usize,
}

/// What is made of an operand's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Turn {
    /// The rotary embedding turns them.
    pub(super) rotated: bool,
    /// A bias is added to them first.
    pub(super) biased: bool,
    /// Their positions start anew in every segment.
    pub(super) cut: bool,
}

impl Turn {
    /// Rows stay as they are.
    pub(super) const NONE: Self = Self {
        rotated: false,
        biased: false,
        cut: false,
    };
}

/// The rows of one head of a sequence.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Head {
    /// Its first number.
    pub(super) start: usize,
    /// Numbers from one position to the next.
    pub(super) stride: usize,
    /// Positions.
    pub(super) count: usize,
    /// The first number of its bias.
    pub(super) bias: usize,
    /// Where the first positions of its sequence's segments start.
    pub(super) firsts: usize,
}

/// Columns of some rows, and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Part {
    /// The first four in shared memory.
    pub(super) at: usize,
    /// Rows.
    pub(super) rows: usize,
    /// Fours of columns.
    pub(super) width: usize,
    /// Fours from one row to the next in shared memory.
    pub(super) pitch: usize,
    /// Whether the rows are other rows that lie as the units count theirs: row c of each lane, then row c + 1.
    pub(super) by_lane: bool,
}

/// Brings the columns from the four `column` on of the rows from `position` on into shared memory. Every unit of a cube has to call
/// it.
#[cube]
pub(super) fn stage(
    memory: &mut Shared<[Four]>,
    x: &[f32],
    bias: &[f32],
    cos: &[f32],
    sin: &[f32],
    firsts: &[i32],
    head: &Head,
    position: usize,
    column: usize,
    #[comptime] tile: Tile,
    #[comptime] part: Part,
    #[comptime] turn: Turn,
) {
    let all = comptime!(part.rows * part.width);
    let rounds = comptime!(all.div_ceil(tile.units()));
    for round in 0..rounds {
        let at = UNIT_POS as usize + round * comptime!(tile.units());
        if at < all {
            let row = at / part.width;
            let own = at % part.width;
            let mut place = position;
            if comptime!(part.by_lane) {
                place += other_row(row % tile.lanes, row / tile.lanes, tile);
            } else {
                place += row;
            }
            let i = (column + own) * 4;
            let mut value = Four::new(0.0f32);
            if place < head.count && i < tile.d_head {
                let first = head.start + place * head.stride;
                value = four(x, bias, first, head.bias, i, tile, turn);
                if comptime!(turn.rotated) {
                    let mut turned = place;
                    if comptime!(turn.cut) {
                        turned -= firsts[head.firsts + place] as usize;
                    }
                    value = rotated(value, cos, sin, turned * tile.d_head, i, tile);
                }
            }
            memory[part.at + row * part.pitch + own] = value;
        }
    }
}

/// Returns the other row c of a lane.
#[cube]
pub(super) fn other_row(lane: usize, c: usize, #[comptime] tile: Tile) -> usize {
    lane * 4 + c % 4 + c / 4 * comptime!(4 * tile.lanes)
}

/// Returns the numbers from i on of a row, after the bias where there is one; zero where a column is not there.
#[cube]
fn four(
    x: &[f32],
    bias: &[f32],
    first: usize,
    of_bias: usize,
    i: usize,
    #[comptime] tile: Tile,
    #[comptime] turn: Turn,
) -> Four {
    let mut numbers = Four::new(0.0f32);
    #[unroll]
    for j in 0..4usize {
        if has_column(i + j, tile) {
            let mut number = x[first + i + j];
            if comptime!(turn.biased) {
                number += bias[of_bias + i + j];
            }
            numbers.insert(j, number);
        }
    }
    numbers
}

/// Returns the numbers from i on of a row in the rotary embedding: each with its neighbour of a pair.
#[cube]
fn rotated(
    x: Four,
    cos: &[f32],
    sin: &[f32],
    first: usize,
    i: usize,
    #[comptime] tile: Tile,
) -> Four {
    let mut numbers = Four::new(0.0f32);
    #[unroll]
    for j in 0..4usize {
        if has_column(i + j, tile) {
            let angle = first + i + j;
            let other = x.extract(comptime!(j ^ 1));
            numbers.insert(j, x.extract(j) * cos[angle] + other * sin[angle]);
        }
    }
    numbers
}

/// Whether a head has a column, which is one of a four that begins inside it.
#[cube]
pub(super) fn has_column(i: usize, #[comptime] tile: Tile) -> bool {
    comptime!(tile.d_head.is_multiple_of(4)) || i < tile.d_head
}
