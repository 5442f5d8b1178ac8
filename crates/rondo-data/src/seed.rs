//! Named, independent random streams: everything random is a pure function of a seed, a name and
//! indices.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Returns 32 bytes that depend on every argument: `BLAKE3(context = name, seed ‖ indices)`.
pub(crate) fn key(seed: u64, name: &str, indices: &[u64]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("rondo-data 1 random streams");
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(&seed.to_le_bytes());
    for index in indices {
        hasher.update(&index.to_le_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// A generator for one stream at one index.
///
/// The reduction to a range is written here, not taken from a library, so that no upgrade changes
/// the numbers of a seed.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// Opens the stream `name` at `indices`.
    pub(crate) fn new(seed: u64, name: &str, indices: &[u64]) -> Self {
        Self(ChaCha8Rng::from_seed(key(seed, name, indices)))
    }

    /// Draws from `0..bound`, with a bias below `bound / 2^64`; zero for an empty range.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_changes_the_key() {
        let base = key(1, "train", &[2, 3]);
        assert_eq!(base, key(1, "train", &[2, 3]));
        for other in [
            key(0, "train", &[2, 3]),
            key(1, "val", &[2, 3]),
            key(1, "train", &[3, 2]),
            key(1, "train", &[2]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_die_shows_each_face_about_as_often() {
        let mut dice = Dice::new(7, "test", &[]);
        let mut faces = [0_usize; 6];
        for _ in 0..6000 {
            faces[dice.below(6) as usize] += 1;
        }
        assert!(
            faces.iter().all(|count| (850..1150).contains(count)),
            "{faces:?}"
        );
    }
}
