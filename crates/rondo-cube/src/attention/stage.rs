//! Rows of operands on their way into shared memory: with bias and rotary embedding where there are any, zero where a row or a
//! column is not there.

use cubecl::prelude::*;

use super::tile::Tile;
use crate::heads::partner;

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
    /// The first number in shared memory.
    pub(super) at: usize,
    /// Rows.
    pub(super) rows: usize,
    /// Columns.
    pub(super) width: usize,
    /// Numbers from one row to the next in shared memory.
    pub(super) pitch: usize,
}

/// Brings the columns from `column` on of the rows from `position` on into shared memory. Every unit of a cube has to call it.
#[cube]
pub(super) fn stage(
    memory: &mut Shared<[f32]>,
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
            let place = position + row;
            let i = column + own;
            let mut value = 0.0f32;
            if place < head.count && i < tile.d_head {
                let first = head.start + place * head.stride;
                value = biased(x, bias, first, head.bias, i, turn);
                if comptime!(turn.rotated) {
                    let other = biased(x, bias, first, head.bias, partner(i), turn);
                    let mut turned = place;
                    if comptime!(turn.cut) {
                        turned -= firsts[head.firsts + place] as usize;
                    }
                    let angle = turned * tile.d_head + i;
                    value = value * cos[angle] + other * sin[angle];
                }
            }
            memory[part.at + row * part.pitch + own] = value;
        }
    }
}

/// Returns number i of a row, after the bias where there is one.
#[cube]
fn biased(
    x: &[f32],
    bias: &[f32],
    first: usize,
    of_bias: usize,
    i: usize,
    #[comptime] turn: Turn,
) -> f32 {
    let mut value = x[first + i];
    if comptime!(turn.biased) {
        value += bias[of_bias + i];
    }
    value
}
