//! Holds the golden model, on the host and on a device.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rondo_interchange::Import;
use rondo_model::config::ModelConfig;
use rondo_model::init::{ParameterSpec, Weights, table};
use rondo_model::looped::{LoopedTransformer, Readout};
use rondo_model::ops::{Precision, head_cross_entropy};
use rondo_model::pass::Pass;
use rondo_train::error::{Error, Result};

use super::values::Values;
use crate::terminal;

/// A golden folder: the model, its inputs, and the file with the reference's results.
#[derive(Debug)]
pub(super) struct Golden {
    pub(super) config: ModelConfig,
    pub(super) values: Values,
    /// The batch size and the sequence length of the inputs.
    pub(super) shape: [usize; 2],
    /// The parameters, by their names in Rondo.
    weights: BTreeMap<String, Vec<f32>>,
    tokens: Vec<i32>,
    labels: Vec<i32>,
    state: Vec<f32>,
}

impl Golden {
    /// Reads the model and its inputs.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder is not in the layout of the reference, or an input is missing
    /// or does not fit the model.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let import = Import::open(dir)?;
        for text in import.warnings() {
            terminal::warn(text);
        }
        let config = import.model().clone();
        let mut weights = BTreeMap::new();
        for row in table(&config) {
            let values = import.values(&row.name)?.ok_or_else(|| {
                let (dir, name) = (dir.display(), &row.name);
                Error::Foreign(format!("{dir}: has no values for the parameter {name}"))
            })?;
            weights.insert(row.name, values);
        }
        let values = Values::open(dir)?;
        let shape = values.rows("input_ids")?;
        let [batch, seq] = shape;
        Ok(Self {
            tokens: values.ids("input_ids", shape, config.vocab_size)?,
            labels: values.ids("labels", shape, config.vocab_size)?,
            state: values.floats("initial_state", &[batch, seq, config.d_model])?,
            config,
            values,
            shape,
            weights,
        })
    }

    /// Copies the model and its inputs to a device.
    pub(super) fn on(&self, device: &Device, precision: Precision) -> Subject<'_> {
        let config = &self.config;
        let values = |row: &ParameterSpec| Ok::<_, Infallible>(self.weights[&row.name].clone());
        let Ok(weights) = Weights::given(config, device, values);
        let weights = weights.with_precision(precision);
        let ids = |ids: &[i32]| {
            let data = TensorData::new(ids.to_vec(), self.shape);
            Tensor::from_data(data, device)
        };
        let [batch, seq] = self.shape;
        let state = TensorData::new(self.state.clone(), [batch, seq, config.d_model]);
        Subject {
            golden: self,
            model: LoopedTransformer::with_weights(config, &weights),
            tokens: ids(&self.tokens),
            labels: ids(&self.labels),
            state: Tensor::from_data(state, &device.clone().without_autodiff()),
            device: device.clone(),
        }
    }
}

/// The golden model and its inputs on a device.
pub(super) struct Subject<'g> {
    pub(super) golden: &'g Golden,
    pub(super) model: LoopedTransformer,
    /// The input tokens, `[batch, seq]`.
    pub(super) tokens: Tensor<2, Int>,
    /// The labels, `[batch, seq]`.
    labels: Tensor<2, Int>,
    /// The initial state s_0, `[batch, seq, d_model]`, without autodiff.
    pub(super) state: Tensor<3>,
    device: Device,
}

impl Subject<'_> {
    /// Prepares a pass over all positions.
    pub(super) fn pass(&self) -> Pass {
        let [_, seq] = self.golden.shape;
        Pass::new(&self.golden.config, seq, &self.device)
    }

    /// Returns the mean cross entropy of the labels, `[1]`.
    pub(super) fn loss(&self, readout: &Readout) -> Tensor<1> {
        let (hidden, head) = (readout.hidden.clone(), self.model.head());
        head_cross_entropy(hidden, head, self.labels.clone(), None, false).loss
    }

    /// Returns the zero state of one row, `[1, seq, d_model]`.
    pub(super) fn zero_state(&self) -> Tensor<3> {
        let [_, seq] = self.golden.shape;
        Tensor::zeros([1, seq, self.golden.config.d_model], &self.device)
    }
}
