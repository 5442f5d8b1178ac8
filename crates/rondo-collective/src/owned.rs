//! Sums and copies for data of which each rank owns a range. In a sum, a rank receives only the sum
//! of its own range. The caller computes new values for this range, and a copy sends the new values
//! to all ranks.
//!
//! The sum of a range has the same bits as in [`OrderedSum`](crate::OrderedSum). Ranges may have
//! any lengths. The data is sent in rounds. In each round all ranks send blocks of the same length.

use std::ops::Range;

use crate::ordered::add_in_order;
use crate::pairwise::additions;
use crate::{Collective, Failure};

/// How many f32 numbers the blocks of all ranks have together in one round (1 MiB).
const ROUND: usize = 256 * 1024;

/// Sums data whose ranges are owned by ranks, and copies the ranges to all ranks. Reuses its
/// buffers.
#[derive(Debug)]
pub struct OwnedSum {
    /// The range that each rank owns, in the order of ranks.
    ranges: Vec<Range<usize>>,
    additions: Vec<(usize, usize)>,
    /// How many numbers each rank's block has in one round.
    block: usize,
    blocks: Vec<f32>,
    received: Vec<f32>,
}

impl OwnedSum {
    /// Creates the sum for a world in which rank `r` owns `ranges[r]`.
    pub fn new(ranges: Vec<Range<usize>>) -> OwnedSum {
        let longest = ranges.iter().map(Range::len).max().unwrap_or(0);
        let block = (ROUND / ranges.len().max(1)).clamp(1, longest.max(1));
        let numbers = block * ranges.len();
        OwnedSum {
            additions: additions(ranges.len()),
            ranges,
            block,
            blocks: vec![0.0; numbers],
            received: vec![0.0; numbers],
        }
    }

    /// Returns the range that each rank owns, in the order of ranks.
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// Returns whether this process is the only rank of `world`. Panics if the size of `world` is
    /// not the number of ranges.
    fn is_alone_in(&self, world: &dyn Collective) -> bool {
        assert_eq!(
            world.world_size(),
            self.ranges.len(),
            "the sum is of another world"
        );
        world.is_alone()
    }

    /// Adds `data` of all ranks. Afterwards the range of this rank holds the sum, and the rest of
    /// `data` is unchanged.
    ///
    /// # Errors
    ///
    /// The errors of every operation of a [`Collective`].
    ///
    /// # Panics
    ///
    /// Panics where the size of `world` is not the number of ranges, or a range is outside the
    /// data.
    pub fn sum(&mut self, world: &dyn Collective, data: &mut [f32]) -> Result<(), Failure> {
        if self.is_alone_in(world) {
            return Ok(());
        }
        for round in 0..self.rounds() {
            for rank in 0..self.ranges.len() {
                let part = self.part(rank, round);
                self.blocks[rank * self.block..][..part.len()].copy_from_slice(&data[part]);
            }
            world.all_to_all(
                bytemuck::cast_slice(&self.blocks),
                bytemuck::cast_slice_mut(&mut self.received),
            )?;
            let part = self.part(world.rank(), round);
            add_in_order(
                &self.additions,
                &mut self.received,
                self.block,
                0..part.len(),
            );
            let length = part.len();
            data[part].copy_from_slice(&self.received[..length]);
        }
        Ok(())
    }

    /// Copies every rank's range of `data` to all ranks.
    ///
    /// # Errors
    ///
    /// The errors of every operation of a [`Collective`].
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`sum`](OwnedSum::sum).
    pub fn share(&mut self, world: &dyn Collective, data: &mut [f32]) -> Result<(), Failure> {
        if self.is_alone_in(world) {
            return Ok(());
        }
        for round in 0..self.rounds() {
            let mine = self.part(world.rank(), round);
            self.blocks[..mine.len()].copy_from_slice(&data[mine]);
            world.all_gather(
                bytemuck::cast_slice(&self.blocks[..self.block]),
                bytemuck::cast_slice_mut(&mut self.received),
            )?;
            for rank in 0..self.ranges.len() {
                let part = self.part(rank, round);
                let length = part.len();
                data[part].copy_from_slice(&self.received[rank * self.block..][..length]);
            }
        }
        Ok(())
    }

    fn rounds(&self) -> usize {
        self.ranges
            .iter()
            .map(|range| range.len().div_ceil(self.block))
            .max()
            .unwrap_or(0)
    }

    /// The part of rank `rank`'s range that is sent in round `round`. Empty in rounds after the end
    /// of the range.
    fn part(&self, rank: usize, round: usize) -> Range<usize> {
        let range = &self.ranges[rank];
        let start = (range.start + round * self.block).min(range.end);
        start..(start + self.block).min(range.end)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails must fail the test")]

    use super::*;
    use crate::ordered::tests::{expected, values};
    use crate::threads;

    #[test]
    fn an_owner_receives_the_bits_of_one_process_and_shares_them() {
        let long = 3 * ROUND / 4;
        let worlds: [&[usize]; 5] = [
            &[10],
            &[3, 0],
            &[1, 5, 2],
            &[long, 7, long + 1, 0],
            &[0, 0, 0],
        ];
        for lengths in worlds {
            let ends: Vec<usize> = lengths
                .iter()
                .scan(0, |end, length| {
                    *end += length;
                    Some(*end)
                })
                .collect();
            let ranges: Vec<Range<usize>> = ends
                .iter()
                .zip(lengths)
                .map(|(end, length)| end - length..*end)
                .collect();
            let total = lengths.iter().sum();
            let expected = expected(lengths.len(), total);
            let seen = threads::run(lengths.len(), |world| {
                let mut sum = OwnedSum::new(ranges.clone());
                let mut data = values(world.rank(), total);
                sum.sum(world, &mut data).unwrap();
                let mine = ranges[world.rank()].clone();
                let owned = data[mine.clone()]
                    .iter()
                    .map(|value| value.to_bits())
                    .eq(expected[mine].iter().copied());
                sum.share(world, &mut data).unwrap();
                (
                    owned,
                    data.into_iter().map(f32::to_bits).collect::<Vec<u32>>(),
                )
            });
            assert!(
                seen.iter().all(|(owned, all)| *owned && *all == expected),
                "{lengths:?}"
            );
        }
    }

    #[test]
    fn what_others_own_is_left_alone() {
        let seen = threads::run(2, |world| {
            let mut data = [1.0, 2.0, 4.0];
            OwnedSum::new(vec![0..1, 1..3])
                .sum(world, &mut data)
                .unwrap();
            data
        });
        assert_eq!(seen, [[2.0, 2.0, 4.0], [1.0, 4.0, 8.0]]);
    }
}
