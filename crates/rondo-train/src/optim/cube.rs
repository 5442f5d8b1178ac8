//! Updates in the memory of the parameter, by the kernels of `rondo-cube`: f32 on a GPU.

use burn::tensor::{Bool, Tensor};
use rondo_cube::primitive::{self, Cube};
use rondo_cube::tensor::CubeTensor;
use rondo_cube::update::{self, Parameter};
use rondo_kernels::update::Update;

use super::backend::Updates;
use super::{Gate, Moments};

/// The updates of the kernels.
pub(super) struct OnDevice;

impl Updates for OnDevice {
    fn norm(&self, tensors: &[Tensor<1>]) -> Tensor<1> {
        let tensors: Vec<CubeTensor> = tensors.iter().cloned().map(read).collect();
        made(update::norm(&tensors))
    }

    fn update(
        &self,
        update: Update,
        gate: &Gate,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        moments: Moments,
    ) -> (Tensor<1>, Moments) {
        let parameter = Parameter {
            value: read(parameter),
            first: moments.first.map(read),
            second: moments.second.map(read),
            gradient: read(gradient),
        };
        let updated = match gate {
            Gate::Host(scale) => {
                update::update(update, update::Gate::Host(*scale as f32), parameter)
            }
            Gate::Device { scale, finite } => {
                let gate = update::Gate::Device {
                    scale: &read(scale.clone()),
                    counts: &truth(finite.clone()),
                };
                update::update(update, gate, parameter)
            }
        };
        let moments = Moments {
            first: Some(made(updated.first)),
            second: Some(made(updated.second)),
        };
        (made(updated.value), moments)
    }
}

fn read(x: Tensor<1>) -> CubeTensor {
    let x = x.try_into_primitive::<Cube>();
    primitive::float(x.expect("a tensor of CubeCL outside the graph"))
}

fn truth(x: Tensor<1, Bool>) -> CubeTensor {
    let x = x.try_into_primitive::<Cube>();
    primitive::bool(x.expect("truth values of CubeCL outside the graph"))
}

fn made(x: CubeTensor) -> Tensor<1> {
    Tensor::from_primitive::<Cube>(primitive::made(x))
}
