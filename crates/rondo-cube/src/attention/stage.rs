//! Loads rows of operands into shared memory, with bias and rotary embedding if there are any. Rows
//! and columns beyond the last one become zeros.

use cubecl::prelude::*;

use super::tile::{Four, Tile};

/// The place of an operand's rows in its buffer.
#[derive(CubeLaunch, CubeType, Clone, Copy)]
pub(super) struct Place {
    /// The offset of the first number.
    pub(super) first: usize,
    /// The offset from one sequence to the next, in numbers.
    pub(super) sequence: usize,
    /// The offset from one head to the next, in numbers.
    pub(super) head: usize,
    /// The offset from one position to the next, in numbers.
    pub(super) position: usize,
}

/// How the rows of an operand are transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Turn {
    /// Whether the rotary embedding is applied.
    pub(super) rotated: bool,
    /// Whether a bias is added before the rotary embedding.
    pub(super) biased: bool,
    /// Whether positions restart in every segment.
    pub(super) cut: bool,
}

impl Turn {
    /// The rows stay unchanged.
    pub(super) const NONE: Self = Self {
        rotated: false,
        biased: false,
        cut: false,
    };
}

/// The rows of one head of a sequence.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Head {
    /// The offset of the head's first number.
    pub(super) start: usize,
    /// The offset from one position to the next, in numbers.
    pub(super) stride: usize,
    /// The number of positions.
    pub(super) count: usize,
    /// The offset of the head's bias.
    pub(super) bias: usize,
    /// The offset of the head's sequence in the tensor of first positions of segments.
    pub(super) firsts: usize,
}

/// Some columns of some rows, and their place in shared memory. A "four" is a vector of four
/// numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Part {
    /// The offset of the first four in shared memory, in fours.
    pub(super) at: usize,
    /// The number of rows.
    pub(super) rows: usize,
    /// The number of fours of columns per row.
    pub(super) width: usize,
    /// The distance from one row to the next in shared memory, in fours.
    pub(super) pitch: usize,
    /// Whether the rows are stored in the order of lanes: other row 0 of each lane, then other row
    /// 1 of each lane, and so on.
    pub(super) by_lane: bool,
}

/// Loads rows into shared memory, starting at the row `position` and the four `column`. Every unit
/// of a cube must call this function.
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

/// Returns the index, within a tile, of the other row number `c` of a lane.
#[cube]
pub(super) fn other_row(lane: usize, c: usize, #[comptime] tile: Tile) -> usize {
    lane * 4 + c % 4 + c / 4 * comptime!(4 * tile.lanes)
}

/// Returns the four numbers of a row from column i on, plus the bias if there is one. Columns
/// beyond the last one give zero.
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

/// Applies the rotary embedding to the four numbers of a row from column i on. Neighbouring numbers
/// form pairs.
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

/// Returns whether a head has the column i. The four that contains i must begin inside the head.
#[cube]
pub(super) fn has_column(i: usize, #[comptime] tile: Tile) -> bool {
    comptime!(tile.d_head.is_multiple_of(4)) || i < tile.d_head
}
