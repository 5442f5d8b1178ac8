//! Initial states handed to evaluation, traces and generation: drawn, zero, or from a file.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData, s};
use rondo_checkpoint::{NamedTensor, TensorFile};
use rondo_model::config::ModelConfig;
use rondo_model::seed::Stream;
use rondo_model::state::{StateSource, initial_state};

use crate::error::{Error, Result};

/// The tensor's name in a file.
const NAME: &str = "initial_state";

/// Where s_0 comes from, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InitialState {
    /// Drawn as in training's evaluations, from the run's seed.
    Seed,
    /// All zeros.
    Zero,
    /// The tensor `initial_state` `[batch, seq, d_model]` of a safetensors file.
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

/// The initial state of every sequence and position.
#[derive(Clone, Debug)]
pub(crate) enum InitialStates {
    /// A function of this seed, of sequence and position.
    Seed(u64),
    /// All zeros.
    Zero,
    /// Read from a file.
    Given {
        path: PathBuf,
        values: Vec<f32>,
        /// Batch and sequence length.
        shape: [usize; 2],
    },
}

impl InitialStates {
    /// Reads what was asked for, for a model of `config` whose run has `seed`.
    ///
    /// # Errors
    ///
    /// Where the file is missing, damaged, or holds states of another width or values that are not
    /// finite.
    pub(crate) fn open(asked: &InitialState, config: &ModelConfig, seed: u64) -> Result<Self> {
        match asked {
            InitialState::Seed => Ok(Self::Seed(seed)),
            InitialState::Zero => Ok(Self::Zero),
            InitialState::File(path) => read(path, config.d_model),
        }
    }

    /// Returns the states of sequences from `first_sequence` on, at positions from
    /// `first_position` on.
    ///
    /// # Shapes
    ///
    /// Returns `[batch, seq, d_model]`.
    ///
    /// # Errors
    ///
    /// Where a file has no states for some of them.
    pub(crate) fn at(
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
                let all = TensorData::new(values.clone(), [*rows, *positions, width]);
                let (sequences, places) =
                    (first..first + batch, first_position..first_position + seq);
                Ok(Tensor::from_data(all, device).slice(s![sequences, places, ..]))
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
