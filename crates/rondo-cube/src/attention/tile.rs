//! How the units of a cube are laid over a tile of scores.
//!
//! A tile has own rows and other rows. Its cube computes the results of its own rows and visits the
//! other rows tile by tile; in the forward pass, own rows are queries and other rows are keys. Unit
//! (group, lane) computes the scores of some own rows with some other rows, and some columns of the
//! result for the same own rows. Units read and write four numbers at a time:
//!
//! ```text
//! own rows          group + r · groups                               r < rows
//! other rows        4 lane + c mod 4 + 4 lanes · (c div 4)           c < columns
//! result columns    4 (lane + s · lanes), and the three after it     s < slots
//! ```
//!
//! Wherever units read shared memory, neighbouring units thus read neighbouring fours or the same
//! ones.

use cubecl::client::Client;
use cubecl::features::Plane;
use cubecl::prelude::{Const, CubeDim, Vector};

/// The four numbers that a unit reads or writes at a time.
pub(super) type Four = Vector<f32, Const<4>>;

/// Fours of a head's columns in shared memory at a time while scores are computed.
pub(super) const CHUNK: usize = 4;

/// Fours from one row of a chunk to the next in shared memory. The number is odd, so the rows of
/// neighbouring units lie in different banks.
pub(super) const PITCH: usize = CHUNK + 1;

/// Fours of shared memory for rows of other operands: 8 KiB, a quarter of the 32 KiB that every
/// device has.
const STAGED: usize = 512;

/// How many scores and result numbers a unit keeps in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// As many as fit into a GPU's registers.
    Many,
    /// Half as many: for a software driver, whose units are lanes of a processor's vectors.
    Few,
}

impl Kept {
    /// Returns `Many` if a device has planes; software drivers have none.
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

/// Other rows of a tile.
const OTHER: usize = 64;

/// How the units of a cube are laid over a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Numbers of a head.
    pub(super) d_head: usize,
    /// Units side by side over other rows and over result columns; a power of two.
    pub(super) lanes: usize,
    /// Groups of `lanes` units over own rows.
    pub(super) groups: usize,
    /// Own rows of a unit.
    pub(super) rows: usize,
    /// Other rows of a unit.
    pub(super) columns: usize,
    /// Whether lanes exchange numbers within a plane, without shared memory.
    pub(super) planes: bool,
}

impl Tile {
    /// Lays units over tiles. For each own row, a unit keeps `scores` numbers for each of its other
    /// rows and `results` numbers for each of its result columns.
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

    /// Lays units over tiles with a single own row, as in generation. The other rows are spread
    /// over all units.
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

    /// Returns the units of a cube.
    pub(super) fn units(self) -> usize {
        self.lanes * self.groups
    }

    /// Returns the shape of a cube: one axis, so that lanes are neighbours in a plane.
    pub(super) fn cube_dim(self) -> CubeDim {
        CubeDim::new_1d(self.units() as u32)
    }

    /// Returns the own rows of a tile.
    pub(super) fn own(self) -> usize {
        self.groups * self.rows
    }

    /// Returns the other rows of a tile.
    pub(super) fn other(self) -> usize {
        self.lanes * self.columns
    }

    /// Returns the fours of result columns per unit; the last of them may lie beyond the head.
    pub(super) fn slots(self) -> usize {
        self.d_head.div_ceil(4).div_ceil(self.lanes)
    }

    /// Returns the fours of result columns of all units.
    pub(super) fn width(self) -> usize {
        self.slots() * self.lanes
    }

    /// Returns the number of other rows in shared memory at a time while they are added to the
    /// result: a multiple of four.
    pub(super) fn staged(self) -> usize {
        let rows = (STAGED / self.width()).clamp(4, self.other());
        1 << rows.ilog2()
    }

    /// Returns the fours of shared memory for rows of operands.
    pub(super) fn memory(self) -> usize {
        let scores = (self.own() + self.other()) * PITCH;
        let results = self.staged() * self.width();
        scores.max(results)
    }

    /// Returns the fours from one own row's weights to the next in shared memory.
    pub(super) fn pitch(self) -> usize {
        self.other() / 4 + 1
    }

    /// Returns the numbers of shared memory through which lanes exchange numbers.
    pub(super) fn exchanged(self) -> usize {
        match self.planes {
            true => 1,
            false => self.own() * self.lanes,
        }
    }
}

/// Whether a device has planes of at least `lanes` units that can exchange numbers.
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
