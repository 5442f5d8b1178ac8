//! The two products of a tile, which are computed in registers: the scores of rows, and the
//! weighted sums of rows. "Own" rows belong to the cube's tile, "other" rows are those that the
//! cube walks over.

use cubecl::prelude::*;

use super::stage::{Head, Part, Turn, has_column, stage};
use super::tile::{CHUNK, Four, PITCH, Tile};

/// Adds the inner products of own and other rows to the scores.
#[cube]
pub(super) fn score(
    scores: &mut Array<f32>,
    memory: &mut Shared<[Four]>,
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
                pitch: PITCH,
                by_lane: false
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
                pitch: PITCH,
                by_lane: true
            }),
            turn,
        );
        sync_cube();
        add_scores(scores, memory, tile);
    }
}

/// Adds the other rows to a result, each multiplied by its weight.
#[cube]
pub(super) fn add_rows(
    result: &mut Array<Four>,
    weights: &Shared<[Four]>,
    memory: &mut Shared<[Four]>,
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
                pitch: tile.width(),
                by_lane: false
            }),
            turn,
        );
        sync_cube();
        add_weighted(result, weights, memory, first, tile);
    }
}

/// Adds the inner products of own and other rows to a unit's scores, over the columns in shared
/// memory. The own rows are at the start of shared memory, and the other rows follow.
#[cube]
fn add_scores(scores: &mut Array<f32>, memory: &mut Shared<[Four]>, #[comptime] tile: Tile) {
    let lane = UNIT_POS as usize % tile.lanes;
    let group = UNIT_POS as usize / tile.lanes;
    let own = group * PITCH;
    let other = comptime!(tile.own() * PITCH) + lane * PITCH;
    let mut right = Array::<Four>::new(tile.columns);
    for i in 0..CHUNK {
        #[unroll]
        for c in 0..tile.columns {
            right[c] = memory[other + c * comptime!(tile.lanes * PITCH) + i];
        }
        #[unroll]
        for r in 0..tile.rows {
            let left = memory[own + r * comptime!(tile.groups * PITCH) + i];
            #[unroll]
            for j in 0..4usize {
                let number = left.extract(j);
                #[unroll]
                for c in 0..tile.columns {
                    scores[r * tile.columns + c] += number * right[c].extract(j);
                }
            }
        }
    }
}

/// Adds the other rows in shared memory, from row `first` on, to a unit's result. Each other row is
/// multiplied by its weight for the own row.
#[cube]
fn add_weighted(
    result: &mut Array<Four>,
    weights: &Shared<[Four]>,
    memory: &mut Shared<[Four]>,
    first: usize,
    #[comptime] tile: Tile,
) {
    let lane = UNIT_POS as usize % tile.lanes;
    let group = UNIT_POS as usize / tile.lanes;
    let own = group * comptime!(tile.pitch()) + first / 4;
    let slots = comptime!(tile.slots());
    let width = comptime!(tile.width());
    let mut left = Array::<Four>::new(tile.rows);
    let mut right = Array::<Four>::new(slots);
    for k in 0..comptime!(tile.staged() / 4) {
        #[unroll]
        for r in 0..tile.rows {
            left[r] = weights[own + r * comptime!(tile.groups * tile.pitch()) + k];
        }
        #[unroll]
        for j in 0..4usize {
            #[unroll]
            for s in 0..slots {
                right[s] = memory[(k * 4 + j) * width + lane + s * tile.lanes];
            }
            #[unroll]
            for r in 0..tile.rows {
                let weight = Four::new(left[r].extract(j));
                #[unroll]
                for s in 0..slots {
                    result[r * slots + s] += weight * right[s];
                }
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

/// Returns an array of vectors of four zeros.
#[cube]
pub(super) fn zero_fours(#[comptime] length: usize) -> Array<Four> {
    let mut array = Array::<Four>::new(length);
    #[unroll]
    for i in 0..length {
        array[i] = Four::new(0.0f32);
    }
    array
}

/// Copies a unit's numbers of a tile into shared memory.
#[cube]
pub(super) fn store(
    weights: &mut Shared<[Four]>,
    numbers: &mut Array<f32>,
    #[comptime] tile: Tile,
) {
    let lane = UNIT_POS as usize % tile.lanes;
    let own = UNIT_POS as usize / tile.lanes * comptime!(tile.pitch());
    #[unroll]
    for r in 0..tile.rows {
        #[unroll]
        for c in 0..comptime!(tile.columns / 4) {
            let mut four = Four::new(0.0f32);
            #[unroll]
            for j in 0..4usize {
                four.insert(j, numbers[r * tile.columns + c * 4 + j]);
            }
            weights[own + r * comptime!(tile.groups * tile.pitch()) + lane + c * tile.lanes] = four;
        }
    }
}

/// Writes the own rows of a unit to the result; the first is row `own`.
#[cube]
pub(super) fn write_rows(
    result: &mut Array<Four>,
    out: &mut [f32],
    head: &Head,
    own: usize,
    #[comptime] tile: Tile,
) {
    let lane = UNIT_POS as usize % tile.lanes;
    let slots = comptime!(tile.slots());
    #[unroll]
    for r in 0..tile.rows {
        let row = own + r * tile.groups;
        #[unroll]
        for s in 0..slots {
            let i = (lane + s * tile.lanes) * 4;
            if row < head.count && i < tile.d_head {
                #[unroll]
                for j in 0..4usize {
                    if has_column(i + j, tile) {
                        out[head.start + row * head.stride + i + j] =
                            result[r * slots + s].extract(j);
                    }
                }
            }
        }
    }
}
