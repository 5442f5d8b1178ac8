//! One random stream for each purpose, addressed by `(seed, stream, index)`.
//!
//! Generators have no shared state: the same address always gives the same numbers, so a resumed
//! run needs no generator state.

#[cfg(test)]
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The purpose of random numbers. Different purposes never share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    /// Initial weights; the index is the parameter's row in the table.
    Weights = 1,
    /// The recurrence depth; the index is the step.
    Depth = 2,
    /// Initial states in training; the index counts micro-batches from the start of the run.
    TrainState = 3,
    /// Initial states in evaluation; the index is always 0.
    EvalState = 4,
    /// Tokens drawn in generation; the index is the position.
    Sampling = 5,
    /// The gates of attention in training; the index counts micro-batches from the start of the
    /// run.
    Gates = 6,
    /// Noise on the weights; the index is the step.
    WeightNoise = 7,
    /// The direction of a penalty in training; the index counts micro-batches from the start of the
    /// run.
    Penalty = 8,
}

/// Returns the generator at `(seed, stream, index)`.
pub fn generator(seed: u64, stream: Stream, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(stream as u64).to_le_bytes());
    key[16..24].copy_from_slice(&index.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// The number of words of the random stream that are reserved for one token. A token of the
/// published width (h = 5280) uses about 11,000 words.
const WORDS_PER_TOKEN: u128 = 1 << 20;

/// Returns the generator for a token at `(seed, stream, index)`, from the number of the token's
/// sequence and the token's position in the sequence.
pub(crate) fn token_generator(
    (seed, stream, index): (u64, Stream, u64),
    sequence: u64,
    position: usize,
) -> ChaCha8Rng {
    let mut rng = generator(seed, stream, index);
    rng.set_stream(sequence);
    rng.set_word_pos(position as u128 * WORDS_PER_TOKEN);
    rng
}

/// Normal random numbers for tests. They are the same in every run, so a failure is reproducible.
#[cfg(test)]
pub(crate) struct Normals {
    generator: ChaCha8Rng,
    std: f64,
}

#[cfg(test)]
impl Normals {
    /// Starts sequence number `index`, with standard deviation `std`.
    pub(crate) fn new(index: u64, std: f64) -> Self {
        // No tested model draws its weights from this seed.
        let generator = generator(u64::MAX, Stream::Weights, index);
        Self { generator, std }
    }

    /// Returns the next numbers as a tensor on flex.
    pub(crate) fn tensor<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        use rand_distr::{Distribution, StandardNormal};
        let draw = |_| {
            let x: f64 = StandardNormal.sample(&mut self.generator);
            (self.std * x) as f32
        };
        let values: Vec<f32> = (0..shape.iter().product()).map(draw).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn every_part_of_the_address_changes_the_numbers_and_nothing_else_does() {
        let first = |seed, stream, index| generator(seed, stream, index).next_u64();
        let here = first(1, Stream::Depth, 2);
        assert_eq!(here, first(1, Stream::Depth, 2));
        assert_ne!(here, first(2, Stream::Depth, 2));
        assert_ne!(here, first(1, Stream::Weights, 2));
        assert_ne!(here, first(1, Stream::Depth, 3));
    }
}
