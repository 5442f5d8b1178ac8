//! Weights and moments as named tensors, and back.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rondo_checkpoint::{Checkpoint, DType, NamedTensor, TensorFile, compare};
use rondo_model::config::ModelConfig;
use rondo_model::init::table;
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

fn named<const D: usize>(name: String, tensor: Tensor<D>) -> NamedTensor<'static> {
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
    let mut tensors = load(checkpoint, MODEL_FILE, &expected)?;
    // Initial values are drawn and replaced: the module tree has one way to be built.
    let model = LoopedTransformer::new(config, 0, device);
    let mut writer = Writer {
        names: expected.into_iter().map(|(name, _)| name),
        tensors: &mut tensors,
    };
    Ok(model.map(&mut writer))
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
    let mut tensors = load(checkpoint, OPTIMIZER_FILE, &optimizer.layout())?;
    let device = device.clone().without_autodiff();
    optimizer.restore(updates, |name| {
        let values = tensors.remove(name)?;
        Some(Tensor::from_data(
            TensorData::new(values.clone(), [values.len()]),
            &device,
        ))
    });
    Ok(())
}

/// Reads a file of named f32 tensors whose names and shapes must be `expected`.
fn load(
    checkpoint: &Checkpoint,
    name: &str,
    expected: &[(String, Vec<usize>)],
) -> Result<BTreeMap<String, Vec<f32>>> {
    let path = checkpoint.path().join(name);
    let bytes = checkpoint.read(name)?;
    let foreign = |message: String| Error::Foreign(format!("{}: {message}", path.display()));
    let file = TensorFile::parse(&bytes).map_err(|error| foreign(error.to_string()))?;
    let mismatch = compare(expected, &file.shapes());
    if !mismatch.is_empty() {
        return Err(foreign(format!(
            "this checkpoint is of another model\n{mismatch}"
        )));
    }
    let values = |tensor: &NamedTensor<'_>| {
        let values = tensor
            .f32_values()
            .map_err(|error| foreign(error.to_string()))?;
        Ok((tensor.name.clone(), values))
    };
    file.tensors().iter().map(values).collect()
}

struct Writer<'a, I> {
    names: I,
    tensors: &'a mut BTreeMap<String, Vec<f32>>,
}

impl<I: Iterator<Item = String>> ModuleMapper for Writer<'_, I> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self
            .names
            .next()
            .expect("the table has a row for each parameter");
        let values = self
            .tensors
            .remove(&name)
            .expect("names and shapes have been compared");
        param.map(|old| {
            let tensor = Tensor::from_data(TensorData::new(values, old.dims()), &old.device());
            tensor.set_require_grad(old.is_require_grad())
        })
    }
}
