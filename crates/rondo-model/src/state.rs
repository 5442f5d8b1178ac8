//! The initial state s_0: a function of `(seed, stream, index)`, sequence and position.
//!
//! Every token draws its numbers from an address of its own. So these numbers do not depend on the
//! length of the sequence or on the number of threads.

use burn::tensor::{Device, Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::config::{ModelConfig, StateInit};
use crate::init::truncated_normal;
use crate::seed::{Stream, token_generator};

/// Where the random numbers of a batch of initial states come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateSource {
    /// The run's seed.
    pub seed: u64,
    /// The random stream: that of training or that of evaluation.
    pub stream: Stream,
    /// The number of the micro-batch, counted from the start of the run, in training; 0 in
    /// evaluation.
    pub index: u64,
    /// The number of the first sequence in the batch.
    pub first_sequence: u64,
    /// The position of the first token in each sequence.
    pub first_position: usize,
}

impl ModelConfig {
    /// Returns the nominal std of the initial state under [`StateInit::LikeInit`]: the embedding's
    /// std times γ.
    pub fn state_std(&self) -> f64 {
        (2.0 / (5.0 * self.d_model as f64)).sqrt() * self.embedding_scale()
    }
}

/// Draws the initial states of a batch. If the model starts from its input, the states are zeros,
/// which the model does not read.
///
/// # Shapes
///
/// Returns `[batch, seq, d_model]`.
pub fn initial_state(
    config: &ModelConfig,
    source: StateSource,
    [batch, seq]: [usize; 2],
    device: &Device,
) -> Tensor<3> {
    let width = config.d_model;
    if matches!(config.state_init, StateInit::Zero | StateInit::Input) {
        return Tensor::zeros([batch, seq, width], device);
    }
    let mut values = vec![0.0_f32; batch * seq * width];
    values
        .par_chunks_mut(width)
        .enumerate()
        .for_each(|(token, features)| {
            let sequence = source.first_sequence + (token / seq) as u64;
            let position = source.first_position + token % seq;
            let address = (source.seed, source.stream, source.index);
            let mut rng = token_generator(address, sequence, position);
            match config.state_init {
                StateInit::LikeInit => {
                    let std = config.state_std();
                    features
                        .iter_mut()
                        .for_each(|x| *x = (std * truncated_normal(&mut rng)) as f32);
                }
                StateInit::Normal | StateInit::Unit => fill_normal(features, 1.0, &mut rng),
                StateInit::Embed => fill_normal(features, (width as f64).sqrt().recip(), &mut rng),
                StateInit::Zero | StateInit::Input => {}
            }
            if config.state_init == StateInit::Unit {
                standardise(features);
            }
        });
    Tensor::from_data(TensorData::new(values, [batch, seq, width]), device)
}

fn fill_normal(features: &mut [f32], std: f64, rng: &mut impl rand::Rng) {
    for x in features {
        let unit: f64 = StandardNormal.sample(rng);
        *x = (std * unit) as f32;
    }
}

/// Shifts and scales `features` to mean 0 and standard deviation 1.
fn standardise(features: &mut [f32]) {
    let n = features.len() as f64;
    let mean = features.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let variance = features
        .iter()
        .map(|x| (f64::from(*x) - mean).powi(2))
        .sum::<f64>()
        / n;
    let scale = variance.sqrt().max(f64::MIN_POSITIVE).recip();
    features
        .iter_mut()
        .for_each(|x| *x = ((f64::from(*x) - mean) * scale) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: StateSource = StateSource {
        seed: 3,
        stream: Stream::TrainState,
        index: 5,
        first_sequence: 0,
        first_position: 0,
    };

    fn draw(kind: StateInit, source: StateSource, shape: [usize; 2]) -> Vec<f32> {
        let config = ModelConfig {
            d_model: 64,
            state_init: kind,
            ..ModelConfig::default()
        };
        initial_state(&config, source, shape, &Device::flex())
            .into_data()
            .iter()
            .collect()
    }

    #[test]
    fn a_token_keeps_its_state_in_a_longer_sequence_and_in_a_later_batch() {
        let short = draw(StateInit::LikeInit, SOURCE, [2, 3]);
        let long = draw(StateInit::LikeInit, SOURCE, [2, 5]);
        assert_eq!(short[..3 * 64], long[..3 * 64]);
        assert_eq!(short[3 * 64..], long[5 * 64..8 * 64]);
        let later = draw(
            StateInit::LikeInit,
            StateSource {
                first_sequence: 1,
                ..SOURCE
            },
            [1, 3],
        );
        assert_eq!(later, short[3 * 64..]);
        let last = draw(
            StateInit::LikeInit,
            StateSource {
                first_position: 2,
                ..SOURCE
            },
            [1, 1],
        );
        assert_eq!(last, short[2 * 64..3 * 64]);
    }

    #[test]
    fn like_init_has_the_embedded_tokens_std() {
        let values = draw(StateInit::LikeInit, SOURCE, [8, 64]);
        let n = values.len() as f64;
        let std = (values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / n).sqrt();
        assert!(
            (std / (0.9866 * 0.4_f64.sqrt()) - 1.0).abs() < 0.01,
            "{std}"
        );
    }

    #[test]
    fn unit_states_are_standardised_per_token() {
        for token in draw(StateInit::Unit, SOURCE, [1, 4]).chunks(64) {
            let mean = token.iter().sum::<f32>() / 64.0;
            let square = token.iter().map(|x| x * x).sum::<f32>() / 64.0;
            assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn zero_is_zero() {
        assert!(
            draw(StateInit::Zero, SOURCE, [1, 2])
                .iter()
                .all(|x| x.abs() < f32::MIN_POSITIVE)
        );
    }
}
