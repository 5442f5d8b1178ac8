//! The source of the modules' parameters.

use std::any::Any;

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

use super::{ParameterSpec, table};
use crate::config::ModelConfig;
use crate::ops::Precision;

/// Provides the parameters of a model by name, and the precision of the matrix products with them.
/// Modules get their parameters only from here.
pub struct Weights<'a> {
    rows: Vec<ParameterSpec>,
    precision: Precision,
    source: Source<'a>,
}

/// Where parameters come from.
enum Source<'a> {
    /// Drawn from a seed and moved to a device when a module requests them.
    Drawn { seed: u64, device: &'a Device },
    /// Given: a `Param<Tensor<D>>` for each row of the table, on its device. D is the rank of the
    /// parameter.
    Given(Vec<Box<dyn Any>>),
}

impl<'a> Weights<'a> {
    /// Prepares to draw the weights of `config` from `seed` onto `device`.
    pub fn new(config: &ModelConfig, seed: u64, device: &'a Device) -> Self {
        Self::from_source(table(config), Source::Drawn { seed, device })
    }

    /// Moves given weights of `config` to `device`. `values` is called once for each row of the
    /// table, in order, and returns values in row-major order.
    ///
    /// # Errors
    ///
    /// Returns the first error of `values`.
    pub fn given<E>(
        config: &ModelConfig,
        device: &Device,
        mut values: impl FnMut(&ParameterSpec) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let rows = table(config);
        let mut given: Vec<Box<dyn Any>> = Vec::with_capacity(rows.len());
        for row in &rows {
            let values = values(row)?;
            given.push(match row.shape.len() {
                1 => Box::new(placed::<1>(values, row, device)),
                2 => Box::new(placed::<2>(values, row, device)),
                rank => unreachable!("no parameter has rank {rank}"),
            });
        }
        Ok(Self::from_source(rows, Source::Given(given)))
    }

    fn from_source(rows: Vec<ParameterSpec>, source: Source<'a>) -> Self {
        Self {
            rows,
            precision: Precision::F32,
            source,
        }
    }

    /// Sets the precision of the modules' matrix products. With [`Precision::Bf16`], flex rounds
    /// the factors of products to bf16. With [`Precision::Tf32`], an NVIDIA GPU that is used
    /// through CUDA may round the factors to TF32.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Returns the precision of the modules' matrix products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns the parameter `name`.
    ///
    /// # Panics
    ///
    /// Panics if the table has no row `name`, or if the parameter's rank is not `D`. Both mean that
    /// module and table disagree.
    pub fn get<const D: usize>(&self, name: &str) -> Param<Tensor<D>> {
        let index = self.rows.iter().position(|row| row.name == name);
        let index = index.unwrap_or_else(|| panic!("the parameter table has no row `{name}`"));
        match &self.source {
            Source::Drawn { seed, device } => {
                let row = &self.rows[index];
                let values = row.values(*seed, index as u64);
                placed(values, row, device)
            }
            Source::Given(given) => {
                let param = given[index].downcast_ref::<Param<Tensor<D>>>();
                param
                    .unwrap_or_else(|| panic!("the parameter `{name}` has not rank {D}"))
                    .clone()
            }
        }
    }
}

/// Moves the values of a row to a device.
fn placed<const D: usize>(
    values: Vec<f32>,
    row: &ParameterSpec,
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_data(TensorData::new(values, row.shape.clone()), device)
}
