//! The inputs of a pass over a micro-batch. They are made on the host and copied to the device.

use burn::tensor::{Device, Tensor};
use rondo_data::Batch;
use rondo_model::config::ModelConfig;
use rondo_model::penalty::Weighted;
use rondo_model::seed::Stream;
use rondo_model::state::{StateSource, initial_state};

use crate::batches::DeviceBatch;
use crate::objective::{PenaltyConfig, Place};

/// The inputs of a pass over a micro-batch, on the device.
pub(crate) struct Inputs {
    /// The number of the micro-batch since the start of the run.
    pub(crate) number: u64,
    /// Tokens, targets and documents.
    pub(crate) batch: DeviceBatch,
    /// The initial state s_0, `[batch, seq, d_model]`.
    pub(crate) state: Tensor<3>,
    /// The penalty at the step of the micro-batch. If the penalty needs a direction, each
    /// micro-batch has its own. `None` without a penalty and during the warm-up.
    pub(crate) penalty: Option<Weighted>,
}

/// Makes inputs. They are a pure function of a micro-batch, its step and its number.
#[derive(Clone, Debug)]
pub(crate) struct InputMaker {
    pub(crate) config: ModelConfig,
    pub(crate) seed: u64,
    pub(crate) penalty: Option<PenaltyConfig>,
    pub(crate) device: Device,
}

impl InputMaker {
    /// Makes the inputs of a micro-batch of step `step`. `number` counts micro-batches from the
    /// start of the run.
    pub(crate) fn make(&self, batch: &Batch, step: u64, number: u64) -> Inputs {
        let source = StateSource {
            seed: self.seed,
            stream: Stream::TrainState,
            index: number,
            first_sequence: 0,
            first_position: 0,
        };
        let shape = [batch.batch, batch.seq];
        let place = Place {
            seed: self.seed,
            step,
            number,
            shape: [batch.batch, batch.seq, self.config.d_model],
        };
        let penalty = self.penalty.as_ref();
        Inputs {
            penalty: penalty.and_then(|penalty| penalty.at(place, &self.device)),
            number,
            state: initial_state(&self.config, source, shape, &self.device),
            batch: DeviceBatch::new(batch, &self.device),
        }
    }
}
