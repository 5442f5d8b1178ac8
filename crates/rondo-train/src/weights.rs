//! Converts weights and moments to named tensors, and back.

use std::path::PathBuf;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rondo_checkpoint::Checkpoint;
use rondo_files::{DType, NamedTensor, StoredTensors, compare};
use rondo_model::config::ModelConfig;
use rondo_model::init::{ParameterSpec, Role, Weights, table};
use rondo_model::looped::LoopedTransformer;
use rondo_model::ops::Precision;

use crate::error::{Error, Result};
use crate::optim::Optimizer;

/// The file in a checkpoint that contains the weights.
pub const MODEL_FILE: &str = "model.safetensors";
/// The file in a checkpoint that contains the moments of the optimizer.
pub const OPTIMIZER_FILE: &str = "optimizer.safetensors";

/// Returns the weights, read from the device. The weights have the names of the parameter table.
pub fn model_tensors(model: &LoopedTransformer, config: &ModelConfig) -> Vec<NamedTensor<'static>> {
    let mut reader = Reader {
        names: table(config).into_iter().map(|row| row.name),
        tensors: Vec::new(),
    };
    model.visit(&mut reader);
    reader.tensors
}

struct Reader<I> {
    names: I,
    tensors: Vec<NamedTensor<'static>>,
}

impl<I: Iterator<Item = String>> ModuleVisitor for Reader<I> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self
            .names
            .next()
            .expect("the table has a row for each parameter");
        self.tensors
            .push(named(name, param.val().without_autodiff()));
    }
}

/// Calls `show` for every parameter, with its number in the parameter table and its values. The
/// values are a flat tensor without autodiff.
pub(crate) fn each_parameter(model: &LoopedTransformer, show: impl FnMut(usize, Tensor<1>)) {
    model.visit(&mut Each { show, number: 0 });
}

struct Each<F> {
    show: F,
    number: usize,
}

impl<F: FnMut(usize, Tensor<1>)> ModuleVisitor for Each<F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val().without_autodiff();
        let count = value.shape().num_elements();
        (self.show)(self.number, value.reshape([count]));
        self.number += 1;
    }
}

/// Replaces the values of parameters. `values` returns the new values of the parameter with a given
/// number in the parameter table, or `None` to keep the present values.
pub(crate) fn replace_parameters(
    model: LoopedTransformer,
    values: impl FnMut(usize) -> Option<Vec<f32>>,
) -> LoopedTransformer {
    model.map(&mut Replace { values, number: 0 })
}

struct Replace<F> {
    values: F,
    number: usize,
}

impl<F: FnMut(usize) -> Option<Vec<f32>>> ModuleMapper for Replace<F> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let values = (self.values)(self.number);
        self.number += 1;
        let Some(values) = values else {
            return param;
        };
        let (id, before, mapper) = param.consume();
        let before = before.without_autodiff();
        let data = TensorData::new(values, before.shape());
        let after = Tensor::<D>::from_data(data, &before.device());
        Param::from_mapped_value(id, after.autodiff().require_grad(), mapper)
    }
}

/// Returns the moments of the optimizer with their names, read from the device.
pub fn optimizer_tensors(optimizer: &Optimizer) -> Vec<NamedTensor<'static>> {
    optimizer
        .state()
        .into_iter()
        .map(|(name, tensor)| named(name, tensor))
        .collect()
}

/// Reads a tensor from the device, and gives it a name.
pub fn named<const D: usize>(name: String, tensor: Tensor<D>) -> NamedTensor<'static> {
    let shape = tensor.dims().to_vec();
    let bytes: Vec<u8> = tensor
        .into_data()
        .iter::<f32>()
        .flat_map(f32::to_le_bytes)
        .collect();
    NamedTensor {
        name,
        dtype: DType::F32,
        shape,
        bytes: bytes.into(),
    }
}

/// Reads the weights of a model from a checkpoint. The model is on `device` and can be trained
/// there.
///
/// # Errors
///
/// When the file is damaged or belongs to another model. The error lists missing and unexpected
/// tensors and tensors of a wrong shape.
pub fn load_model(
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    device: &Device,
    precision: Precision,
) -> Result<LoopedTransformer> {
    load(checkpoint, config, device, precision, None)
}

/// Does what [`load_model`] does, but sets gate biases that are missing in the checkpoint to zero.
/// In this way, a dense model can provide the weights of a model with gates.
///
/// # Errors
///
/// The errors of [`load_model`].
pub fn load_first_model(
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    device: &Device,
    precision: Precision,
) -> Result<LoopedTransformer> {
    load(checkpoint, config, device, precision, Some(Role::GateBias))
}

/// Loads a model. Missing tensors of parameters with the role `optional` become zero.
fn load(
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    device: &Device,
    precision: Precision,
    optional: Option<Role>,
) -> Result<LoopedTransformer> {
    let rows = table(config);
    let optional = rows.iter().filter(|row| optional == Some(row.role));
    let optional: Vec<String> = optional.map(|row| row.name.clone()).collect();
    let expected = rows.into_iter().map(|row| (row.name, row.shape)).collect();
    let stored = open(checkpoint, MODEL_FILE, expected, &optional)?;
    let weights = Weights::given(config, device, |row: &ParameterSpec| -> Result<_> {
        let read = stored.read(&row.name)?;
        Ok(read.unwrap_or_else(|| vec![0.0; row.count()]))
    })?;
    let weights = weights.with_precision(precision);
    Ok(LoopedTransformer::with_weights(config, &weights))
}

/// Opens the moments in a checkpoint. They must be moments of the parameters of `optimizer`.
///
/// # Errors
///
/// The errors of [`load_model`].
pub(crate) fn open_moments(checkpoint: &Checkpoint, optimizer: &Optimizer) -> Result<Stored> {
    let layout = optimizer.layout().into_iter();
    let expected = layout.map(|moment| (moment.name, vec![moment.count]));
    open(checkpoint, OPTIMIZER_FILE, expected.collect(), &[])
}

/// Returns a vector on `device`, without autodiff.
pub(crate) fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let shape = [values.len()];
    let device = device.clone().without_autodiff();
    Tensor::from_data(TensorData::new(values, shape), &device)
}

/// An open file of named f32 tensors, which are read one at a time.
pub(crate) struct Stored {
    path: PathBuf,
    tensors: StoredTensors,
}

impl Stored {
    /// Reads the values of a tensor. `None` if the file has no such tensor.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<f32>>> {
        let values = self
            .tensors
            .read(name)
            .and_then(|tensor| tensor.map(|tensor| tensor.f32_values()).transpose());
        values.map_err(|error| {
            let path = self.path.display();
            Error::Foreign(format!("{path}: {name}: {error}"))
        })
    }
}

/// Opens a file of f32 tensors. The file must contain exactly the `expected` names and shapes, but
/// tensors with the names `optional` may be missing.
fn open(
    checkpoint: &Checkpoint,
    name: &str,
    mut expected: Vec<(String, Vec<usize>)>,
    optional: &[String],
) -> Result<Stored> {
    let path = checkpoint.path().join(name);
    let foreign = |message: String| Error::Foreign(format!("{}: {message}", path.display()));
    let file = checkpoint.file(name)?;
    let tensors = StoredTensors::open(file).map_err(|error| foreign(error.to_string()))?;
    let shapes = tensors.shapes();
    expected.retain(|(name, _)| {
        !optional.contains(name) || shapes.iter().any(|(known, _)| known == name)
    });
    let mismatch = compare(&expected, &shapes);
    if !mismatch.is_empty() {
        return Err(foreign(format!(
            "this checkpoint is of another model\n{mismatch}"
        )));
    }
    let other = tensors.types().find(|(_, dtype)| *dtype != DType::F32);
    if let Some((tensor, dtype)) = other {
        return Err(foreign(format!(
            "{tensor} is stored as {dtype}, expected F32"
        )));
    }
    Ok(Stored { path, tensors })
}
