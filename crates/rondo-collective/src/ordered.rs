//! The pairwise sum across ranks, in the order of ranks.
//!
//! ```text
//! segment of rank 0   a0 b0 c0        all-to-all      rank 0: a0 a1 a2 ─► A = (a0 + a1) + a2     all-gather
//! segment of rank 1   a1 b1 c1   ───────────────►     rank 1: b0 b1 b2 ─► B                  ─────────────►  A B C
//! segment of rank 2   a2 b2 c2                        rank 2: c0 c1 c2 ─► C
//! ```
//!
//! Each rank adds one slice of every segment, by the tree of [`pairwise`](crate::pairwise). The
//! bits therefore do not depend on the engine, the size of messages or the number of threads. If
//! there are `N` ranks, each rank sends `2 (N − 1) / N` times the size of its data, and receives as
//! much. The best all-reduce sends no less. A segment is small enough to stay in a cache, and large
//! enough to hide the latency of messages.

use std::ops::Range;

use crate::pairwise::additions;
use crate::{Collective, Failure};

/// How many f32 numbers a segment has (1 MiB). On two ranks, segments of a quarter of this size
/// cost 20 % more time, and a single segment for all data costs 40 % more.
const SEGMENT: usize = 256 * 1024;

/// A sum across ranks, with its buffers.
#[derive(Debug)]
pub struct OrderedSum {
    /// The additions of the binary tree over the ranks.
    additions: Vec<(usize, usize)>,
    world_size: usize,
    /// The values of all ranks for the slice that this rank adds.
    received: Vec<f32>,
    /// A copy of the last segment, padded to a multiple of the world's size.
    last: Vec<f32>,
}

impl OrderedSum {
    /// Creates the sum for a world of `world_size` ranks.
    pub fn new(world_size: usize) -> OrderedSum {
        OrderedSum {
            additions: additions(world_size),
            world_size,
            received: Vec::new(),
            last: Vec::new(),
        }
    }

    /// Adds `data` of all ranks in place. All ranks receive the same bits.
    ///
    /// # Errors
    ///
    /// The errors of every operation of a [`Collective`].
    ///
    /// # Panics
    ///
    /// Panics where the size of `world` is not that of [`OrderedSum::new`].
    pub fn sum(&mut self, world: &dyn Collective, data: &mut [f32]) -> Result<(), Failure> {
        assert_eq!(
            world.world_size(),
            self.world_size,
            "the sum is of another world"
        );
        if self.world_size == 1 {
            return Ok(());
        }
        let slice = (SEGMENT / self.world_size).max(1);
        let mut segments = data.chunks_exact_mut(slice * self.world_size);
        for segment in &mut segments {
            self.segment(world, segment)?;
        }
        let rest = segments.into_remainder();
        if rest.is_empty() {
            return Ok(());
        }
        let mut last = std::mem::take(&mut self.last);
        last.clear();
        last.extend_from_slice(rest);
        last.resize(rest.len().next_multiple_of(self.world_size), 0.0);
        self.segment(world, &mut last)?;
        rest.copy_from_slice(&last[..rest.len()]);
        self.last = last;
        Ok(())
    }

    fn segment(&mut self, world: &dyn Collective, segment: &mut [f32]) -> Result<(), Failure> {
        self.received.resize(segment.len(), 0.0);
        world.all_to_all(
            bytemuck::cast_slice(segment),
            bytemuck::cast_slice_mut(&mut self.received),
        )?;
        let slice = segment.len() / self.world_size;
        add_in_order(&self.additions, &mut self.received, slice, 0..slice);
        world.all_gather(
            bytemuck::cast_slice(&self.received[..slice]),
            bytemuck::cast_slice_mut(segment),
        )
    }
}

/// Adds the blocks in `blocks`, each of `length` numbers, by the tree. In each block, only the
/// numbers at the positions `within` are added. Afterwards block 0 holds the sum.
pub(crate) fn add_in_order(
    additions: &[(usize, usize)],
    blocks: &mut [f32],
    length: usize,
    within: Range<usize>,
) {
    for &(into, from) in additions {
        let (before, after) = blocks.split_at_mut(from * length);
        let later = &after[within.clone()];
        let earlier = &mut before[into * length..][within.clone()];
        earlier
            .iter_mut()
            .zip(later)
            .for_each(|(earlier, later)| *earlier += later);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails must fail the test")]

    use super::*;
    use crate::pairwise::PairwiseSum;
    use crate::threads;

    /// Returns numbers of very different sizes, so that each order of addition gives other bits.
    pub(crate) fn values(seed: usize, length: usize) -> Vec<f32> {
        let number = |index: usize| {
            let mixed =
                (seed as u64 * 1_000_003 + index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let fraction = (mixed >> 40) as f32 / (1 << 24) as f32 - 0.5;
            fraction * 2f32.powi((mixed & 15) as i32 - 8)
        };
        (0..length).map(number).collect()
    }

    /// Returns the bits of the pairwise sum of all ranks' values, computed in one process.
    pub(crate) fn expected(ranks: usize, length: usize) -> Vec<u32> {
        let add = |mut a: Vec<f32>, b: Vec<f32>| {
            a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
            a
        };
        let mut sum = PairwiseSum::new();
        (0..ranks).for_each(|rank| sum.push(values(rank, length), add));
        sum.finish(add)
            .unwrap()
            .into_iter()
            .map(f32::to_bits)
            .collect()
    }

    #[test]
    fn every_world_has_the_bits_of_one_process() {
        for ranks in 1..=8 {
            for length in [
                0,
                1,
                2,
                7,
                64,
                1000,
                SEGMENT - 1,
                SEGMENT,
                SEGMENT + 3,
                2 * SEGMENT + 5,
            ] {
                let sums = threads::run(ranks, |world| {
                    let mut data = values(world.rank(), length);
                    OrderedSum::new(ranks).sum(world, &mut data).unwrap();
                    data.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
                });
                let expected = expected(ranks, length);
                assert!(
                    sums.iter().all(|sum| *sum == expected),
                    "{ranks} ranks, {length} numbers"
                );
            }
        }
    }

    #[test]
    fn another_order_would_give_other_bits() {
        let fold = |ranks: usize| {
            let mut sum = values(0, 1000);
            (1..ranks).for_each(|rank| {
                sum.iter_mut()
                    .zip(values(rank, 1000))
                    .for_each(|(a, b)| *a += b);
            });
            sum.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
        };
        assert_eq!(fold(3), expected(3, 1000));
        assert_ne!(fold(4), expected(4, 1000));
    }

    #[test]
    fn ranks_share_micro_batches_without_changing_a_bit() {
        let add = |mut a: Vec<f32>, b: Vec<f32>| {
            a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
            a
        };
        for (ranks, each) in [(1, 8), (2, 4), (4, 2), (8, 1), (3, 4)] {
            let sums = threads::run(ranks, |world| {
                let mut mine = PairwiseSum::new();
                (0..each)
                    .for_each(|number| mine.push(values(world.rank() * each + number, 501), add));
                let mut data = mine.finish(add).unwrap();
                OrderedSum::new(ranks).sum(world, &mut data).unwrap();
                data.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
            });
            let expected = expected(ranks * each, 501);
            assert!(
                sums.iter().all(|sum| *sum == expected),
                "{ranks} ranks with {each} each"
            );
        }
    }

    #[test]
    fn buffers_serve_sums_of_other_lengths() {
        let sums = threads::run(3, |world| {
            let mut sum = OrderedSum::new(3);
            [5, 1000, 2].map(|length| {
                let mut data = values(world.rank(), length);
                sum.sum(world, &mut data).unwrap();
                data.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
            })
        });
        assert_eq!(sums[2], [5, 1000, 2].map(|length| expected(3, length)));
    }
}
