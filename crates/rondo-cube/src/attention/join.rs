//! Combines the numbers that the lanes of a group hold for each own row (a row of the cube's tile).
//! On a device with planes (groups of threads that run in lockstep) this happens within a plane,
//! otherwise through shared memory. The order of the operations is fixed.

use cubecl::prelude::*;

use super::tile::Tile;
use crate::rows::{Join, join_two};

/// Replaces, for each own row, the number of every lane by the combined number of all lanes. Every
/// unit of a cube must call this function. Without planes, the lanes exchange their numbers through
/// `memory`.
#[cube]
pub(super) fn join_lanes(
    values: &mut Array<f32>,
    memory: &mut Shared<[f32]>,
    #[comptime] tile: Tile,
    #[comptime] join: Join,
) {
    if comptime!(tile.planes) {
        let steps = comptime!(tile.lanes.ilog2() as usize);
        #[unroll]
        for step in 0..steps {
            #[unroll]
            for r in 0..tile.rows {
                let other = plane_shuffle_xor(values[r], comptime!(1u32 << step));
                values[r] = join_two(values[r], other, join);
            }
        }
    } else {
        let lane = UNIT_POS as usize % tile.lanes;
        let first = UNIT_POS as usize / tile.lanes * comptime!(tile.rows * tile.lanes);
        sync_cube();
        #[unroll]
        for r in 0..tile.rows {
            memory[first + r * tile.lanes + lane] = values[r];
        }
        sync_cube();
        #[unroll]
        for r in 0..tile.rows {
            let mut all = memory[first + r * tile.lanes];
            for other in 1..tile.lanes {
                all = join_two(all, memory[first + r * tile.lanes + other], join);
            }
            values[r] = all;
        }
    }
}
