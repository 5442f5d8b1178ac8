//! What a pass over a micro-batch reads, made on the host and brought to the device.

use burn::tensor::{Device, Tensor};
use rondo_data::Batch;
use rondo_model::config::ModelConfig;
use rondo_model::seed::Stream;
use rondo_model::state::{StateSource, initial_state};

use crate::batches::DeviceBatch;

/// What a pass over a micro-batch reads, on the device.
pub(crate) struct Inputs {
    /// The number of the micro-batch since the start of the run.
    pub(crate) number: u64,
    /// Tokens, targets and documents.
    pub(crate) batch: DeviceBatch,
    /// s_0, `[batch, seq, d_model]`.
    pub(crate) state: Tensor<3>,
}

/// How inputs are made: a pure function of a micro-batch and its number.
#[derive(Clone, Debug)]
pub(crate) struct InputMaker {
    pub(crate) config: ModelConfig,
    pub(crate) seed: u64,
    pub(crate) device: Device,
}

impl InputMaker {
    /// Makes the inputs of the micro-batch with a number that counts from the start of the run.
    pub(crate) fn make(&self, batch: &Batch, number: u64) -> Inputs {
        let source = StateSource {
            seed: self.seed,
            stream: Stream::TrainState,
            index: number,
            first_sequence: 0,
            first_position: 0,
        };
        let shape = [batch.batch, batch.seq];
        Inputs {
            number,
            state: initial_state(&self.config, source, shape, &self.device),
            batch: DeviceBatch::new(batch, &self.device),
        }
    }
}
