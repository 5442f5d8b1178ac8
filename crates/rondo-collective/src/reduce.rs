//! One sum per step: the order of its additions, and the type in which its numbers are sent.

use half::bf16;

use crate::{Collective, Failure, OrderedSum};

/// How the numbers of all ranks are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// Pairwise in the order of ranks. The sum has the bits of one process.
    Ordered,
    /// Without this order: f32 numbers in the engine's own order, bf16 numbers one rank after the
    /// other. The bits change with the world's size, and those of f32 also with the engine.
    Fast(Wire),
}

/// The type in which numbers are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// f32, without rounding.
    F32,
    /// bf16, which halves the bytes. Numbers are rounded to bf16 before they are sent. The sum is
    /// computed in f32, and rounded to bf16 before it is sent back.
    Bf16,
}

/// How many numbers are sent together as bf16. They are then divided into one slice for each rank.
const PIECE: usize = 512 * 1024;

/// The sum of a step across ranks. Reuses its buffers.
#[derive(Debug)]
pub struct Reducer {
    reduce: Reduce,
    ordered: OrderedSum,
    /// The bits of the bf16 numbers to send.
    sent: Vec<u16>,
    received: Vec<u16>,
    sum: Vec<f32>,
}

impl Reducer {
    /// Creates the sum for a world of `world_size` ranks.
    pub fn new(reduce: Reduce, world_size: usize) -> Reducer {
        let ordered = OrderedSum::new(world_size);
        Reducer {
            reduce,
            ordered,
            sent: Vec::new(),
            received: Vec::new(),
            sum: Vec::new(),
        }
    }

    /// Adds `data` of all ranks in place. All ranks receive the same bits. The last `exact` numbers
    /// (losses, flags, times) are always sent as f32. If one of these is 0 on all ranks but one,
    /// the sum is exactly the number of that rank, in every order.
    ///
    /// # Errors
    ///
    /// The errors of every operation of a [`Collective`].
    ///
    /// # Panics
    ///
    /// Panics where the size of `world` is not that of [`Reducer::new`], or `data` is shorter than
    /// `exact`.
    pub fn sum(
        &mut self,
        world: &dyn Collective,
        data: &mut [f32],
        exact: usize,
    ) -> Result<(), Failure> {
        match self.reduce {
            _ if world.is_alone() => Ok(()),
            Reduce::Ordered => self.ordered.sum(world, data),
            Reduce::Fast(Wire::F32) => world.all_reduce(data),
            Reduce::Fast(Wire::Bf16) => {
                let (rounded, exact) = data.split_at_mut(data.len() - exact);
                for piece in rounded.chunks_mut(PIECE) {
                    self.in_bf16(world, piece)?;
                }
                match exact {
                    [] => Ok(()),
                    exact => world.all_reduce(exact),
                }
            }
        }
    }

    /// Adds a piece that is sent as bf16. Each rank adds one slice of the piece in f32, in the
    /// order of ranks.
    fn in_bf16(&mut self, world: &dyn Collective, piece: &mut [f32]) -> Result<(), Failure> {
        let slice = piece.len().div_ceil(world.world_size());
        let padded = slice * world.world_size();
        self.sent.clear();
        self.sent
            .extend(piece.iter().map(|&number| bf16::from_f32(number).to_bits()));
        self.sent.resize(padded, 0);
        self.received.resize(padded, 0);
        world.all_to_all(
            bytemuck::cast_slice(&self.sent),
            bytemuck::cast_slice_mut(&mut self.received),
        )?;
        self.sum.clear();
        self.sum.resize(slice, 0.0);
        for of_rank in self.received.chunks_exact(slice) {
            self.sum
                .iter_mut()
                .zip(of_rank)
                .for_each(|(sum, number)| *sum += bf16::from_bits(*number).to_f32());
        }
        self.sent.clear();
        self.sent.extend(
            self.sum
                .iter()
                .map(|&number| bf16::from_f32(number).to_bits()),
        );
        world.all_gather(
            bytemuck::cast_slice(&self.sent),
            bytemuck::cast_slice_mut(&mut self.received),
        )?;
        piece
            .iter_mut()
            .zip(&self.received)
            .for_each(|(number, sum)| *number = bf16::from_bits(*sum).to_f32());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails must fail the test")]

    use super::*;
    use crate::ordered::tests::{expected, values};
    use crate::threads;

    const ALL: [Reduce; 3] = [
        Reduce::Ordered,
        Reduce::Fast(Wire::F32),
        Reduce::Fast(Wire::Bf16),
    ];

    fn sums(reduce: Reduce, ranks: usize, length: usize, exact: usize) -> Vec<Vec<f32>> {
        threads::run(ranks, |world| {
            let mut data = values(world.rank(), length);
            Reducer::new(reduce, ranks)
                .sum(world, &mut data, exact)
                .unwrap();
            data
        })
    }

    #[test]
    fn all_ranks_receive_the_same_bits() {
        for reduce in ALL {
            for ranks in [2, 3, 5] {
                let sums = sums(reduce, ranks, 1001, 3);
                let bits = |sum: &Vec<f32>| {
                    sum.iter()
                        .map(|number| number.to_bits())
                        .collect::<Vec<u32>>()
                };
                assert!(
                    sums.iter().all(|sum| bits(sum) == bits(&sums[0])),
                    "{reduce:?}, {ranks} ranks"
                );
            }
        }
    }

    #[test]
    fn only_the_ordered_sum_has_the_bits_of_one_process() {
        let bits = |reduce| {
            sums(reduce, 4, 1000, 0)[0]
                .iter()
                .map(|number| number.to_bits())
                .collect::<Vec<u32>>()
        };
        assert_eq!(bits(Reduce::Ordered), expected(4, 1000));
        assert_ne!(bits(Reduce::Fast(Wire::F32)), expected(4, 1000));
    }

    #[test]
    fn a_sum_in_bf16_has_its_three_digits_and_an_exact_tail() {
        let ranks = 3;
        let exact: Vec<f32> = expected(ranks, PIECE + 5)
            .into_iter()
            .map(f32::from_bits)
            .collect();
        let sum = &sums(Reduce::Fast(Wire::Bf16), ranks, PIECE + 5, 2)[0];
        let all: Vec<Vec<f32>> = (0..ranks).map(|rank| values(rank, PIECE + 5)).collect();
        for (index, (&sum, &exact)) in sum.iter().zip(&exact).enumerate() {
            // bf16 has 8 significant bits: rounding the numbers costs 2^-8 of their size, and
            // rounding their sum costs the same again.
            let size: f32 = all.iter().map(|of_rank| of_rank[index].abs()).sum();
            assert!(
                (sum - exact).abs() <= size * 2f32.powi(-8) * (2.0 + 2f32.powi(-8)),
                "number {index}: {sum}, not {exact}"
            );
        }
        let tail = PIECE + 3;
        assert_eq!(
            sum[tail..]
                .iter()
                .map(|number| number.to_bits())
                .collect::<Vec<_>>(),
            expected(ranks, PIECE + 5)[tail..]
        );
    }

    #[test]
    fn a_flag_of_one_rank_arrives_as_it_is() {
        for reduce in ALL {
            let seen = threads::run(4, |world| {
                let mut data = [0.0f32; 5];
                data[1 + world.rank()] = 0.1 + world.rank() as f32;
                Reducer::new(reduce, 4).sum(world, &mut data, 4).unwrap();
                data.map(f32::to_bits)
            });
            assert_eq!(
                seen[3],
                [0.0f32, 0.1, 1.1, 2.1, 3.1].map(f32::to_bits),
                "{reduce:?}"
            );
        }
    }
}
