//! How the modules get their parameters.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

use super::{ParameterSpec, table};
use crate::config::ModelConfig;
use crate::ops::Precision;

/// Gives parameters by name, drawn or known, and the precision of the products with them: the one way a
/// module gets its weights.
pub struct Weights<'a> {
    rows: Vec<ParameterSpec>,
    precision: Precision,
    values: Box<ValuesOf<'a>>,
    device: &'a Device,
}

/// Gives the values of one row, of the place in the table that comes with it.
type ValuesOf<'a> = dyn Fn(u64, &ParameterSpec) -> Vec<f32> + 'a;

impl<'a> Weights<'a> {
    /// Prepares to draw the weights of `config` from `seed` onto `device`.
    pub fn new(config: &ModelConfig, seed: u64, device: &'a Device) -> Self {
        Self {
            rows: table(config),
            precision: Precision::F32,
            values: Box::new(move |index, row| row.init.values(&row.shape, seed, index)),
            device,
        }
    }

    /// Prepares to put known weights of `config` onto `device`; `values` is asked once for each row
    /// of the table and answers in row-major order.
    pub fn given(
        config: &ModelConfig,
        device: &'a Device,
        values: impl Fn(&ParameterSpec) -> Vec<f32> + 'a,
    ) -> Self {
        Self {
            rows: table(config),
            precision: Precision::F32,
            values: Box::new(move |_, row| values(row)),
            device,
        }
    }

    /// Lets the modules' products round what they multiply, where the device can: on flex.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Returns the precision of products.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns the parameter `name`.
    ///
    /// # Panics
    ///
    /// Panics where the table has no such row or its rank is not `D`: module and table disagree.
    pub fn get<const D: usize>(&self, name: &str) -> Param<Tensor<D>> {
        let index = self.rows.iter().position(|row| row.name == name);
        let index = index.unwrap_or_else(|| panic!("the parameter table has no row `{name}`"));
        let row = &self.rows[index];
        let values = (self.values)(index as u64, row);
        Param::from_data(TensorData::new(values, row.shape.clone()), self.device)
    }
}
