//! Sends numbers, and messages of any length, over a [`Collective`], whose own operations send
//! bytes.
//!
//! All ranks of a world run the same program, on processors with the same byte order. A number is
//! therefore sent as its bytes in memory.

use bytemuck::Pod;

use crate::{Collective, Failure};

impl dyn Collective + '_ {
    /// Copies the numbers of rank `root` to every rank.
    ///
    /// # Errors
    ///
    /// The errors of every operation of a [`Collective`].
    pub fn broadcast_numbers<T: Pod>(&self, root: usize, data: &mut [T]) -> Result<(), Failure> {
        self.broadcast(root, bytemuck::cast_slice_mut(data))
    }

    /// Returns the numbers of all ranks, in the order of ranks. All ranks must pass equally many
    /// numbers.
    ///
    /// # Errors
    ///
    /// The errors of every operation of a [`Collective`].
    pub fn all_gather_numbers<T: Pod>(&self, mine: &[T]) -> Result<Vec<T>, Failure> {
        let mut all = vec![T::zeroed(); mine.len() * self.world_size()];
        self.all_gather(
            bytemuck::cast_slice(mine),
            bytemuck::cast_slice_mut(&mut all),
        )?;
        Ok(all)
    }

    /// Returns the message of rank `root` on every rank. The messages of the other ranks are
    /// ignored.
    ///
    /// # Errors
    ///
    /// The errors of every operation of a [`Collective`].
    pub fn broadcast_message(&self, root: usize, message: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let mut length = [message.len() as u64];
        self.broadcast_numbers(root, &mut length)?;
        let mut message = message;
        message.resize(length[0] as usize, 0);
        self.broadcast(root, &mut message)?;
        Ok(message)
    }

    /// Returns the messages of all ranks, in the order of ranks. Their lengths may differ.
    ///
    /// # Errors
    ///
    /// The errors of every operation of a [`Collective`].
    pub fn all_gather_messages(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        let lengths = self.all_gather_numbers(&[mine.len() as u64])?;
        let longest = lengths.iter().copied().max().unwrap_or(0) as usize;
        if longest == 0 {
            return Ok(vec![Vec::new(); lengths.len()]);
        }
        let mut padded = mine.to_vec();
        padded.resize(longest, 0);
        let mut all = vec![0; longest * lengths.len()];
        self.all_gather(&padded, &mut all)?;
        let message = |(bytes, length): (&[u8], &u64)| bytes[..*length as usize].to_vec();
        Ok(all
            .chunks_exact(longest)
            .zip(&lengths)
            .map(message)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails must fail the test")]

    use crate::threads;

    #[test]
    fn messages_of_different_lengths_come_whole() {
        let seen = threads::run(3, |world| {
            let mine = "ab".repeat(world.rank());
            world.all_gather_messages(mine.as_bytes()).unwrap()
        });
        let expected = vec![b"".to_vec(), b"ab".to_vec(), b"abab".to_vec()];
        assert_eq!(seen, vec![expected; 3]);
        let nothing = threads::run(2, |world| world.all_gather_messages(&[]).unwrap());
        assert_eq!(nothing, vec![vec![Vec::<u8>::new(); 2]; 2]);
    }

    #[test]
    fn a_message_reaches_ranks_that_do_not_know_its_length() {
        let seen = threads::run(3, |world| {
            let mine = if world.rank() == 1 {
                b"from one".to_vec()
            } else {
                vec![0; 90]
            };
            world.broadcast_message(1, mine).unwrap()
        });
        assert_eq!(seen, vec![b"from one".to_vec(); 3]);
    }

    #[test]
    fn numbers_keep_their_bits() {
        let values = [f64::MIN_POSITIVE, -0.0, f64::INFINITY];
        let seen = threads::run(2, |world| {
            let mut mine = if world.rank() == 0 { values } else { [0.0; 3] };
            world.broadcast_numbers(0, &mut mine).unwrap();
            (
                mine.map(f64::to_bits),
                world
                    .all_gather_numbers(&[world.rank() as u32 + 7])
                    .unwrap(),
            )
        });
        assert_eq!(seen, vec![(values.map(f64::to_bits), vec![7, 8]); 2]);
    }
}
