//! How the units (threads) of a cube share rows; sums over a row; the exponential.
//!
//! The units with the same y coordinate share a row and are its lanes. Lane `l` computes the
//! columns `l`, `l + lanes`, `l + 2·lanes` and so on, so neighbouring units read neighbouring
//! numbers. If rows are narrow, a cube computes several rows.

use cubecl::prelude::*;

/// The number of units in a cube. Every device supports this number.
const UNITS: usize = 256;

/// The number of units in a cube in which each unit computes one number.
pub(crate) const LINE: usize = UNITS;

/// The maximum number of cubes along one axis. Every device supports this number.
const CUBES: usize = 65_535;

/// The smallest exponent for which `exp` is called. Compared with 1, e⁻⁸⁸ is negligible, and a
/// device's `exp` may overflow for smaller exponents.
const SMALLEST_EXPONENT: f32 = -88.0;

/// The approximate number of columns for each lane in [`Tile::new`].
const COLUMNS: usize = 16;

/// How the units of a cube share rows of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tile {
    /// The number of columns of a row.
    pub(crate) width: usize,
    /// The number of units for each row; a power of two.
    pub(crate) lanes: usize,
    /// The number of rows that a cube computes at a time.
    pub(crate) rows: usize,
    /// The number of columns of a lane. The last column may lie beyond the end of the row.
    pub(crate) columns: usize,
}

impl Tile {
    /// Returns a tile with enough lanes per row for the width.
    pub(crate) fn new(width: usize) -> Self {
        let lanes = width.div_ceil(COLUMNS).next_power_of_two().clamp(32, UNITS);
        Self {
            width,
            lanes,
            rows: UNITS / lanes,
            columns: width.div_ceil(lanes),
        }
    }

    /// Returns a tile in which each row has a whole cube.
    pub(crate) fn whole(width: usize) -> Self {
        Self {
            width,
            lanes: UNITS,
            rows: 1,
            columns: width.div_ceil(UNITS),
        }
    }

    /// Returns the shape of a cube.
    pub(crate) fn cube_dim(self) -> CubeDim {
        CubeDim::new_2d(self.lanes as u32, self.rows as u32)
    }

    /// Returns the number of cubes that `rows` rows need.
    pub(crate) fn cubes(self, rows: usize) -> usize {
        rows.div_ceil(self.rows)
    }
}

/// Returns a count of at least `count` cubes. The surplus cubes do nothing.
pub(crate) fn cube_count(count: usize) -> CubeCount {
    let rows = count.div_ceil(CUBES).max(1);
    CubeCount::Static(count.div_ceil(rows) as u32, rows as u32, 1)
}

/// How two numbers are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Join {
    Sum,
    Largest,
}

/// Returns, in every lane, the sum of the values of all lanes of the row. The values are always
/// added in the same order. Every unit of the cube must call this function.
#[cube]
pub(crate) fn sum_of_lanes(value: f32, #[comptime] tile: Tile) -> f32 {
    join_lanes(value, tile, Join::Sum)
}

/// Does what [`sum_of_lanes`] does, but returns the largest value.
#[cube]
pub(crate) fn largest_of_lanes(value: f32, #[comptime] tile: Tile) -> f32 {
    join_lanes(value, tile, Join::Largest)
}

#[cube]
fn join_lanes(value: f32, #[comptime] tile: Tile, #[comptime] join: Join) -> f32 {
    let mut joined = Shared::<[f32]>::new_slice(comptime!(tile.lanes * tile.rows));
    let lane = UNIT_POS_X as usize;
    let first = UNIT_POS_Y as usize * tile.lanes;
    joined[first + lane] = value;
    sync_cube();
    let steps = comptime!(tile.lanes.ilog2() as usize);
    #[unroll]
    for step in 0..steps {
        let half = comptime!(tile.lanes >> (step + 1));
        if lane < half {
            let own = joined[first + lane];
            let other = joined[first + lane + half];
            joined[first + lane] = join_two(own, other, join);
        }
        sync_cube();
    }
    let all = joined[first];
    // Every unit must have read the result before the next call overwrites the shared memory.
    sync_cube();
    all
}

#[cube]
pub(crate) fn join_two(own: f32, other: f32, #[comptime] join: Join) -> f32 {
    if comptime!(join == Join::Sum) {
        own + other
    } else {
        select(other > own, other, own)
    }
}

/// Returns `e^x` for x ≤ 0, and NaN for NaN.
#[cube]
pub(crate) fn power(x: f32) -> f32 {
    select(x < SMALLEST_EXPONENT, SMALLEST_EXPONENT, x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_has_every_column_and_a_cube_of_256_units() {
        for width in [1, 20, 24, 65, 512, 513, 4096, 5000] {
            let tile = Tile::new(width);
            assert_eq!(tile.lanes * tile.rows, UNITS, "{width}");
            assert!(tile.lanes * tile.columns >= width, "{width}");
            assert!(tile.lanes * (tile.columns - 1) < width, "{width}");
        }
    }

    #[test]
    fn cubes_beyond_one_axis_go_to_the_second() {
        for (count, expected) in [(1, (1, 1)), (65_535, (65_535, 1)), (65_536, (32_768, 2))] {
            let CubeCount::Static(x, y, _) = cube_count(count) else {
                unreachable!("the count is known");
            };
            assert_eq!((x, y), expected);
        }
    }
}
