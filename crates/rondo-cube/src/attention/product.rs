//! The two products of a tile: scores of rows, and sums of rows by their weights, both in registers.

use cubecl::prelude::*;

use super::stage::{Head, Part, Turn, stage};
use super::tile::{CHUNK, PITCH, Tile};

/// Adds to scores the products of own and other rows.
#[cube]
pub(super) fn score(
    scores: &mut Array<f32>,
    memory: &mut Shared<[f32]>,
    own: &[f32],
    other: &[f32],
    bias: &[f32],
    cos: &[f32],
    sin: &[f32],
    firsts: &[i32],
    of_own: &Head,
    of_other: &Head,
    first_own: usize,
    first_other: usize,
    #[comptime] tile: Tile,
    #[comptime] turn: Turn,
) {
    let chunks = comptime!(tile.d_head.div_ceil(CHUNK));
    for chunk in 0..chunks {
        sync_cube();
        stage(
            memory,
            own,
            bias,
            cos,
            sin,
            firsts,
            of_own,
            first_own,
            chunk * CHUNK,
            tile,
            comptime!(Part {
                at: 0,
                rows: tile.own(),
                width: CHUNK,
                pitch: PITCH
            }),
            turn,
        );
        stage(
            memory,
            other,
            bias,
            cos,
            sin,
            firsts,
            of_other,
            first_other,
            chunk * CHUNK,
            tile,
            comptime!(Part {
                at: tile.own() * PITCH,
                rows: tile.other(),
                width: CHUNK,
                pitch: PITCH
            }),
            turn,
        );
        sync_cube();
        add_scores(scores, memory, tile);
    }
}

/// Adds to a result the other rows, each times its weight.
#[cube]
pub(super) fn add_rows(
    result: &mut Array<f32>,
    weights: &Shared<[f32]>,
    memory: &mut Shared<[f32]>,
    other: &[f32],
    bias: &[f32],
    cos: &[f32],
    sin: &[f32],
    firsts: &[i32],
    of_other: &Head,
    first_other: usize,
    #[comptime] tile: Tile,
    #[comptime] turn: Turn,
) {
    let parts = comptime!(tile.other() / tile.staged());
    for part in 0..parts {
        let first = part * comptime!(tile.staged());
        sync_cube();
        stage(
            memory,
            other,
            bias,
            cos,
            sin,
            firsts,
            of_other,
            first_other + first,
            0,
            tile,
            comptime!(Part {
                at: 0,
                rows: tile.staged(),
                width: tile.width(),
                pitch: tile.width()
            }),
            turn,
        );
        sync_cube();
        add_weighted(result, weights, memory, first, tile);
    }
}

/// Adds to the scores of a unit the products of own and other rows over the columns that are in shared memory: own rows from
/// its start on, other rows behind them.
#[cube]
fn add_scores(scores: &mut Array<f32>, memory: &mut Shared<[f32]>, #[comptime] tile: Tile) {
    let lane = UNIT_POS as usize % tile.lanes;
    let group = UNIT_POS as usize / tile.lanes;
    let own = group * comptime!(tile.rows * PITCH);
    let other = comptime!(tile.own() * PITCH) + lane * PITCH;
    let mut left = Array::<f32>::new(tile.rows);
    let mut right = Array::<f32>::new(tile.columns);
    for i in 0..CHUNK {
        #[unroll]
        for r in 0..tile.rows {
            left[r] = memory[own + r * PITCH + i];
        }
        #[unroll]
        for c in 0..tile.columns {
            right[c] = memory[other + c * comptime!(tile.lanes * PITCH) + i];
        }
        #[unroll]
        for r in 0..tile.rows {
            #[unroll]
            for c in 0..tile.columns {
                scores[r * tile.columns + c] += left[r] * right[c];
            }
        }
    }
}

/// Adds to the result of a unit the other rows from `first` on that are in shared memory, each times its weight for the own row.
#[cube]
fn add_weighted(
    result: &mut Array<f32>,
    weights: &Shared<[f32]>,
    memory: &mut Shared<[f32]>,
    first: usize,
    #[comptime] tile: Tile,
) {
    let lane = UNIT_POS as usize % tile.lanes;
    let group = UNIT_POS as usize / tile.lanes;
    let own = group * comptime!(tile.rows * tile.pitch()) + first;
    let slots = comptime!(tile.slots());
    let mut left = Array::<f32>::new(tile.rows);
    let mut right = Array::<f32>::new(slots);
    for k in 0..comptime!(tile.staged()) {
        #[unroll]
        for r in 0..tile.rows {
            left[r] = weights[own + r * comptime!(tile.pitch()) + k];
        }
        #[unroll]
        for s in 0..slots {
            right[s] = memory[k * comptime!(tile.width()) + lane + s * tile.lanes];
        }
        #[unroll]
        for r in 0..tile.rows {
            #[unroll]
            for s in 0..slots {
                result[r * slots + s] += left[r] * right[s];
            }
        }
    }
}

/// Returns an array of zeros.
#[cube]
pub(super) fn zeros(#[comptime] length: usize) -> Array<f32> {
    let mut array = Array::<f32>::new(length);
    #[unroll]
    for i in 0..length {
        array[i] = 0.0f32;
    }
    array
}

/// Puts a unit's numbers of a tile into shared memory.
#[cube]
pub(super) fn store(weights: &mut Shared<[f32]>, numbers: &mut Array<f32>, #[comptime] tile: Tile) {
    let lane = UNIT_POS as usize % tile.lanes;
    let own = UNIT_POS as usize / tile.lanes * comptime!(tile.rows * tile.pitch());
    #[unroll]
    for r in 0..tile.rows {
        #[unroll]
        for c in 0..tile.columns {
            weights[own + r * comptime!(tile.pitch()) + lane + c * tile.lanes] =
                numbers[r * tile.columns + c];
        }
    }
}

/// Writes the own rows of a unit.
#[cube]
pub(super) fn write_rows(
    result: &mut Array<f32>,
    out: &mut [f32],
    head: &Head,
    own: usize,
    #[comptime] tile: Tile,
) {
    let lane = UNIT_POS as usize % tile.lanes;
    let slots = comptime!(tile.slots());
    #[unroll]
    for r in 0..tile.rows {
        #[unroll]
        for s in 0..slots {
            let i = lane + s * tile.lanes;
            if own + r < head.count && i < tile.d_head {
                out[head.start + (own + r) * head.stride + i] = result[r * slots + s];
            }
        }
    }
}
