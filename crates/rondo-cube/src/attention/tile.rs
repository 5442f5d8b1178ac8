//! How the units (threads) of a cube share a tile of scores.
//!
//! A tile has own rows and other rows. The cube computes the results of its own rows, and walks
//! over the other rows tile by tile. In the forward pass, own rows are queries and other rows are
//! keys. A unit has a group and a lane. The unit computes the scores of some own rows with some
//! other rows, and some columns of the result for the same own rows. Units read and write four
//! numbers at a time:
//!
//! ```text
//! own rows          group + r · groups                               r < rows
//! other rows        4 lane + c mod 4 + 4 lanes · (c div 4)           c < columns
//! result columns    4 (lane + s · lanes), and the three after it     s < slots
//! ```
//!
//! Whenever units read shared memory, neighbouring units thus read neighbouring groups of four
//! numbers, or the same group.

use cubecl::client::Client;
use cubecl::features::Plane;
use cubecl::prelude::{Const, CubeDim, Vector};

/// A "four": the four numbers that a unit reads or writes at a time.
pub(super) type Four = Vector<f32, Const<4>>;

/// The number of fours of a head's columns that are in shared memory at a time while scores are
/// computed.
pub(super) const CHUNK: usize = 4;

/// The distance from one row of a chunk to the next in shared memory, in fours. The distance is
/// odd, so the rows of neighbouring units lie in different banks.
pub(super) const PITCH: usize = CHUNK + 1;

/// The number of fours of shared memory for rows of operands while results are added up: 8 KiB, a
/// quarter of the 32 KiB that every device has.
const STAGED: usize = 512;

/// How many scores and numbers of the result a unit keeps in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// As many as fit into a GPU's registers.
    Many,
    /// Half as many, for software drivers, whose units are lanes of a processor's vectors.
    Few,
}

impl Kept {
    /// Returns `Many` for a device with planes, and `Few` for a software driver, which has no
    /// planes.
    pub(super) fn on(client: &Client) -> Self {
        match client.properties().features.plane.contains(Plane::Ops) {
            true => Self::Many,
            false => Self::Few,
        }
    }

    fn count(self) -> usize {
        match self {
            Self::Many => 192,
            Self::Few => 96,
        }
    }
}

/// The number of other rows of a tile.
const OTHER: usize = 64;

/// How the units of a cube share a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// The number of elements of a head.
    pub(super) d_head: usize,
    /// The number of units side by side over other rows and over columns of the result; a power of
    /// two.
    pub(super) lanes: usize,
    /// The number of groups of `lanes` units over own rows.
    pub(super) groups: usize,
    /// The number of own rows of a unit.
    pub(super) rows: usize,
    /// The number of other rows of a unit.
    pub(super) columns: usize,
    /// Whether lanes exchange numbers within a plane instead of through shared memory.
    pub(super) planes: bool,
}

impl Tile {
    /// Returns how units share tiles. For each own row, a unit keeps `scores` numbers for each of
    /// its other rows and `results` numbers for each of its columns of the result.
    pub(super) fn new(
        client: &Client,
        d_head: usize,
        kept: Kept,
        [scores, results]: [usize; 2],
    ) -> Self {
        let lanes = 8;
        let columns = OTHER / lanes;
        let slots = d_head.div_ceil(4).div_ceil(lanes);
        let rows = kept.count() / (scores * columns + results * 4 * slots);
        Self {
            d_head,
            lanes,
            groups: 8,
            rows: 1 << rows.clamp(1, 8).ilog2(),
            columns,
            planes: has_planes(client, lanes),
        }
    }

    /// Returns how units share a tile with a single own row, which occurs in generation. The other
    /// rows are spread over all units.
    pub(super) fn of_one(client: &Client, d_head: usize) -> Self {
        Self {
            d_head,
            lanes: 64,
            groups: 1,
            rows: 1,
            columns: 4,
            planes: has_planes(client, 64),
        }
    }

    /// Returns the number of units of a cube.
    pub(super) fn units(self) -> usize {
        self.lanes * self.groups
    }

    /// Returns the shape of a cube. It has one axis, so the lanes of a group are neighbours in a
    /// plane.
    pub(super) fn cube_dim(self) -> CubeDim {
        CubeDim::new_1d(self.units() as u32)
    }

    /// Returns the number of own rows of a tile.
    pub(super) fn own(self) -> usize {
        self.groups * self.rows
    }

    /// Returns the number of other rows of a tile.
    pub(super) fn other(self) -> usize {
        self.lanes * self.columns
    }

    /// Returns the number of fours of result columns per unit. The last four may lie beyond the
    /// head.
    pub(super) fn slots(self) -> usize {
        self.d_head.div_ceil(4).div_ceil(self.lanes)
    }

    /// Returns the number of fours of result columns of all lanes together.
    pub(super) fn width(self) -> usize {
        self.slots() * self.lanes
    }

    /// Returns how many other rows are in shared memory at a time while they are added to the
    /// result; a multiple of four.
    pub(super) fn staged(self) -> usize {
        let rows = (STAGED / self.width()).clamp(4, self.other());
        1 << rows.ilog2()
    }

    /// Returns how many fours of shared memory the rows of operands need.
    pub(super) fn memory(self) -> usize {
        let scores = (self.own() + self.other()) * PITCH;
        let results = self.staged() * self.width();
        scores.max(results)
    }

    /// Returns the distance from one own row's weights to the next in shared memory, in fours.
    pub(super) fn pitch(self) -> usize {
        self.other() / 4 + 1
    }

    /// Returns how many numbers of shared memory the lanes need to exchange numbers.
    pub(super) fn exchanged(self) -> usize {
        match self.planes {
            true => 1,
            false => self.own() * self.lanes,
        }
    }
}

/// Returns whether a device has planes of at least `lanes` units that can exchange numbers.
fn has_planes(client: &Client, lanes: usize) -> bool {
    let properties = client.properties();
    let smallest = properties.hardware.plane_size_min as usize;
    properties.features.plane.contains(Plane::Ops) && smallest >= lanes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::device;

    #[test]
    fn every_tile_fits_the_shared_memory_of_any_device() {
        let Some(device) = device() else { return };
        let client = &device.tensor(&[0.0], [1]).client;
        for d_head in [1, 2, 6, 20, 32, 48, 64, 80, 96, 128, 256, 1024] {
            let tiles = [Kept::Many, Kept::Few]
                .into_iter()
                .flat_map(|kept| [[1, 1], [2, 1], [2, 2]].map(|count| (kept, count)))
                .map(|(kept, count)| Tile::new(client, d_head, kept, count));
            for tile in tiles.chain([Tile::of_one(client, d_head)]) {
                let fours = tile.memory() + tile.own() * tile.pitch();
                let bytes = 4 * (4 * fours + tile.own() * tile.lanes);
                assert!(bytes <= 32 * 1024, "{tile:?}");
                assert!(4 * tile.width() >= d_head && tile.other().is_multiple_of(tile.staged()));
                assert!(tile.staged().is_multiple_of(4) && tile.columns.is_multiple_of(4));
                assert!(tile.units() == 64 && tile.rows.is_power_of_two());
            }
        }
    }
}
