//! Weights and moments as named tensors, and back.

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rondo_checkpoint::{Checkpoint, DType, NamedTensor, TensorFile, compare};
use rondo_model::config::ModelConfig;
use rondo_model::init::{ParameterSpec, Weights, table};
use rondo_model::looped::LoopedTransformer;

use crate::error::{Error, Result};
use crate::optim::Optimizer;

/// The file of the weights in a checkpoint.
pub(crate) const MODEL_FILE: &str = "model.safetensors";
/// The file of the moments.
pub(crate) const OPTIMIZER_FILE: &str = "optimizer.safetensors";

/// Returns the weights under the names of the parameter table, read from the device.
pub(crate) fn model_tensors(
    model: &LoopedTransformer,
    config: &ModelConfig,
) -> Vec<NamedTensor<'static>> {
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

/// Returns the moments by name, read from the device.
pub(crate) fn optimizer_tensors(optimizer: &Optimizer) -> Vec<NamedTensor<'static>> {
    optimizer
        .state()
        .0
        .into_iter()
        .map(|(name, tensor)| named(name, tensor))
        .collect()
}

/// Reads a tensor from the device under a name.
pub(crate) fn named<const D: usize>(name: String, tensor: Tensor<D>) -> NamedTensor<'static> {
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

/// Reads a model's weights from a checkpoint onto `device`, ready to train there.
///
/// # Errors
///
/// Where the file is damaged or belongs to another model, with the lists of missing, unexpected and
/// mis-shaped tensors.
pub(crate) fn load_model(
    checkpoint: &Checkpoint,
    config: &ModelConfig,
    device: &Device,
) -> Result<LoopedTransformer> {
    let expected = table(config)
        .into_iter()
        .map(|row| (row.name, row.shape))
        .collect::<Vec<_>>();
    let bytes = checkpoint.read(MODEL_FILE)?;
    let path = checkpoint.path().join(MODEL_FILE);
    let file = parse(&bytes, &path, &expected)?;
    let values = |row: &ParameterSpec| {
        let tensor = file.get(&row.name).map(NamedTensor::f32_values);
        tensor
            .expect("names have been compared")
            .expect("types have been checked")
    };
    let weights = Weights::given(config, device, values);
    Ok(LoopedTransformer::with_weights(config, &weights))
}

/// Restores an optimizer's moments from a checkpoint onto `device`.
///
/// # Errors
///
/// As [`load_model`].
pub(crate) fn load_optimizer(
    checkpoint: &Checkpoint,
    optimizer: &mut Optimizer,
    updates: u64,
    device: &Device,
) -> Result<()> {
    let bytes = checkpoint.read(OPTIMIZER_FILE)?;
    let path = checkpoint.path().join(OPTIMIZER_FILE);
    let file = parse(&bytes, &path, &optimizer.layout())?;
    let device = device.clone().without_autodiff();
    optimizer.restore(updates, |name| {
        let values = file.get(name)?.f32_values().ok()?;
        let shape = [values.len()];
        Some(Tensor::from_data(TensorData::new(values, shape), &device))
    });
    Ok(())
}

/// Reads a file of named f32 tensors whose names and shapes must be `expected`.
fn parse<'a>(
    bytes: &'a [u8],
    path: &Path,
    expected: &[(String, Vec<usize>)],
) -> Result<TensorFile<'a>> {
    let foreign = |message: String| Error::Foreign(format!("{}: {message}", path.display()));
    let file = TensorFile::parse(bytes).map_err(|error| foreign(error.to_string()))?;
    let mismatch = compare(expected, &file.shapes());
    if !mismatch.is_empty() {
        return Err(foreign(format!(
            "this checkpoint is of another model\n{mismatch}"
        )));
    }
    match file
        .tensors()
        .iter()
        .find(|tensor| tensor.dtype != DType::F32)
    {
        None => Ok(file),
        Some(tensor) => Err(foreign(format!(
            "{} is stored as {:?}, expected F32",
            tensor.name, tensor.dtype
        ))),
    }
}
