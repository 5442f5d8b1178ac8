//! The initial states for evaluation, traces and generation: drawn, zero, or from a file.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use rondo_files::{NamedTensor, TensorFile};
use rondo_model::config::{ModelConfig, StateInit};
use rondo_model::seed::Stream;
use rondo_model::state::{StateSource, initial_state};

use crate::error::{Error, Result};

/// The name of the tensor in a file.
const NAME: &str = "initial_state";

/// The source of the initial states s_0 that the user asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitialState {
    /// Drawn from the run's seed, as in the evaluations during training.
    Seed,
    /// All zeros.
    Zero,
    /// The tensor `initial_state` `[batch, seq, d_model]` of this safetensors file.
    File(PathBuf),
}

impl From<&str> for InitialState {
    fn from(text: &str) -> Self {
        match text {
            "seed" => Self::Seed,
            "zero" => Self::Zero,
            path => Self::File(PathBuf::from(path)),
        }
    }
}

/// The initial states of every sequence and position.
#[derive(Clone, Debug)]
pub enum InitialStates {
    /// Drawn from this seed. Each state depends on its sequence and position.
    Seed(u64),
    /// All zeros.
    Zero,
    /// Read from a file.
    Given {
        /// The path of the file.
        path: PathBuf,
        /// The values, in the order of the tensor `[batch, seq, d_model]`.
        values: Vec<f32>,
        /// The number of sequences and positions, `[batch, seq]`.
        shape: [usize; 2],
    },
}

impl InitialStates {
    /// Prepares the initial states that `asked` names, for a model with `config`. `seed` is the
    /// seed of the run.
    ///
    /// # Errors
    ///
    /// When the file is missing or damaged, or its states have another width or values that are not
    /// finite. Also when `config` says that a state starts from its own input, but the user asks
    /// for another source.
    pub fn open(asked: &InitialState, config: &ModelConfig, seed: u64) -> Result<Self> {
        if config.state_init == StateInit::Input && *asked != InitialState::Seed {
            return Err(Error::Usage(
                "--initial-state: the run has model.state_init = \"input\", so that every state starts from its own \
                 tokens; leave the option out"
                    .to_owned(),
            ));
        }
        match asked {
            InitialState::Seed => Ok(Self::Seed(seed)),
            InitialState::Zero => Ok(Self::Zero),
            InitialState::File(path) => read(path, config.d_model),
        }
    }

    /// Returns states for `batch` sequences from `first_sequence` on, at `seq` positions from
    /// `first_position` on.
    ///
    /// # Shapes
    ///
    /// Returns `[batch, seq, d_model]`.
    ///
    /// # Errors
    ///
    /// When a file does not have states for all of these sequences and positions.
    pub fn at(
        &self,
        config: &ModelConfig,
        first_sequence: u64,
        first_position: usize,
        [batch, seq]: [usize; 2],
        device: &Device,
    ) -> Result<Tensor<3>> {
        let width = config.d_model;
        match self {
            Self::Zero => Ok(Tensor::zeros([batch, seq, width], device)),
            Self::Seed(seed) => {
                let source = StateSource {
                    seed: *seed,
                    stream: Stream::EvalState,
                    index: 0,
                    first_sequence,
                    first_position,
                };
                Ok(initial_state(config, source, [batch, seq], device))
            }
            Self::Given {
                path,
                values,
                shape: [rows, positions],
            } => {
                let first = first_sequence as usize;
                if first + batch > *rows || first_position + seq > *positions {
                    return Err(Error::Foreign(format!(
                        "{}: {NAME} has {rows} sequences of {positions} positions; {} of {} are \
                         needed",
                        path.display(),
                        first + batch,
                        first_position + seq,
                    )));
                }
                // Copies only the requested states, because a file may contain states for many
                // batches.
                let sequences = values.chunks(positions * width).skip(first).take(batch);
                let places = first_position * width..(first_position + seq) * width;
                let states: Vec<f32> = sequences
                    .flat_map(|sequence| &sequence[places.clone()])
                    .copied()
                    .collect();
                let data = TensorData::new(states, [batch, seq, width]);
                Ok(Tensor::from_data(data, device))
            }
        }
    }
}

fn read(path: &Path, d_model: usize) -> Result<InitialStates> {
    let foreign = |message: String| Error::Foreign(format!("{}: {message}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| foreign(format!("cannot be read: {error}")))?;
    let file = TensorFile::parse(&bytes).map_err(|error| foreign(error.to_string()))?;
    let Some(tensor) = file.get(NAME) else {
        return Err(foreign(format!("holds no tensor `{NAME}`")));
    };
    let [rows, positions, width] = tensor.shape[..] else {
        return Err(foreign(shape_message(tensor, d_model)));
    };
    if width != d_model {
        return Err(foreign(shape_message(tensor, d_model)));
    }
    let values = tensor
        .f32_values()
        .map_err(|error| foreign(error.to_string()))?;
    if let Some(index) = values.iter().position(|x| !x.is_finite()) {
        return Err(foreign(format!(
            "{NAME} holds {} at element {index}",
            values[index]
        )));
    }
    Ok(InitialStates::Given {
        path: path.to_owned(),
        values,
        shape: [rows, positions],
    })
}

fn shape_message(tensor: &NamedTensor<'_>, d_model: usize) -> String {
    format!(
        "{NAME} must be [batch, seq, {d_model}], found {:?}",
        tensor.shape
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns states for 3 sequences of 4 positions, of width 2. Each number is its own index.
    fn given() -> (InitialStates, ModelConfig) {
        let config = ModelConfig {
            d_model: 2,
            ..ModelConfig::default()
        };
        let states = InitialStates::Given {
            path: "states.safetensors".into(),
            values: (0..24_u16).map(f32::from).collect(),
            shape: [3, 4],
        };
        (states, config)
    }

    #[test]
    fn given_states_are_those_of_the_sequences_and_positions_asked_for() {
        let (states, config) = given();
        let found = states
            .at(&config, 1, 2, [2, 2], &Device::flex())
            .expect("the file has them");
        assert_eq!(found.dims(), [2, 2, 2]);
        let found: Vec<f32> = found.into_data().iter().collect();
        assert_eq!(found, [12.0, 13.0, 14.0, 15.0, 20.0, 21.0, 22.0, 23.0]);
    }

    #[test]
    fn states_that_a_file_lacks_are_refused_with_its_size() {
        let (states, config) = given();
        for (sequence, position) in [(2, 2), (1, 3)] {
            let refused = states.at(&config, sequence, position, [2, 2], &Device::flex());
            let message = refused.expect_err("too few").to_string();
            assert!(message.contains("3 sequences of 4"), "{message}");
        }
    }
}
