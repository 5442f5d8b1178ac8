//! Times a sum across ranks, the engine's own sum and a copy in memory.

use std::hint::black_box;
use std::time::Instant;

use crate::{Collective, Failure, Reduce, Reducer, Wire};

/// The operation that is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timed {
    /// A copy of the numbers in this rank's memory. Nothing is sent.
    Copy,
    /// A sum across ranks, in place.
    Sum(Reduce),
}

impl Timed {
    /// All variants, in the order of tables.
    pub const ALL: [Timed; 4] = [
        Timed::Copy,
        Timed::Sum(Reduce::Fast(Wire::F32)),
        Timed::Sum(Reduce::Ordered),
        Timed::Sum(Reduce::Fast(Wire::Bf16)),
    ];
}

/// Times each variant of [`Timed::ALL`] over `numbers` f32 per rank. Returns, for each variant, the
/// seconds of `counted` rounds. The `warmup` rounds before them are not counted.
///
/// The variants take turns, so that other load on the machine affects all of them alike. A round
/// begins at a barrier and lasts until the slowest rank ends. All ranks return the same seconds.
///
/// # Errors
///
/// The errors of every operation of a [`Collective`].
pub fn time(
    world: &dyn Collective,
    numbers: usize,
    warmup: usize,
    counted: usize,
) -> Result<[Vec<f64>; 4], Failure> {
    let fresh = vec![1.0f32; numbers];
    let mut data = fresh.clone();
    let mut reducers = Timed::ALL.map(|timed| match timed {
        Timed::Copy => None,
        Timed::Sum(reduce) => Some(Reducer::new(reduce, world.world_size())),
    });
    let mut seconds = [const { Vec::new() }; 4];
    for round in 0..warmup + counted {
        for (reducer, seconds) in reducers.iter_mut().zip(&mut seconds) {
            // Starts each round from the same numbers: repeated sums would exceed the range of f32.
            data.copy_from_slice(&fresh);
            world.barrier()?;
            let start = Instant::now();
            match reducer {
                None => data.copy_from_slice(black_box(&fresh)),
                Some(reducer) => reducer.sum(world, &mut data, 0)?,
            }
            black_box(&mut data);
            let mine = start.elapsed().as_secs_f64();
            let all = world.all_gather_numbers(&[mine])?;
            if round >= warmup {
                seconds.push(all.into_iter().fold(0.0, f64::max));
            }
        }
    }
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads;

    #[test]
    fn all_ranks_return_the_same_times() {
        let seen = threads::run(3, |world| time(world, 1000, 1, 4).ok());
        let first = seen[0].as_ref().expect("times");
        assert!(first.iter().all(|rounds| rounds.len() == 4));
        assert!(seen.iter().all(|one| one.as_ref() == Some(first)));
    }
}
