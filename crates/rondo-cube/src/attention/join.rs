//! What the lanes of a group have found for their own rows, joined: in a plane where the device has planes, in shared memory
//! elsewhere. The order is fixed.

use cubecl::prelude::*;

use super::tile::Tile;
use crate::rows::{Join, join_two};

/// Gives every lane the joined numbers of all lanes, for each own row. Every unit of a cube has to call it; `memory` is for
/// what lanes exchange, where there are no planes.
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
