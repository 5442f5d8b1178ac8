//! Updates parameters in their own memory, in f32 on a GPU, with the kernels of `rondo-cube`.

use burn::tensor::{Bool, Tensor};
use rondo_cube::primitive::{self, Cube};
use rondo_cube::tensor::CubeTensor;
use rondo_cube::update::{self, Parameter, StepNumbers};
use rondo_kernels::update::{Step, Update};

use super::backend::{SharedStep, Updates};
use super::{Gate, Moments};

/// Computes updates with the kernels of `rondo-cube`.
pub(super) struct OnDevice;

impl Updates for OnDevice {
    fn norm(&self, tensors: &[Tensor<1>]) -> Tensor<1> {
        let tensors: Vec<CubeTensor> = tensors.iter().cloned().map(read).collect();
        made(update::norm(&tensors))
    }

    fn update(
        &self,
        update: Update,
        step: &mut SharedStep<'_>,
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
        let gate = step.gate;
        let scale = match gate {
            Gate::Host(scale) => *scale,
            Gate::Device { .. } => 1.0,
        };
        let [update, decaying] = [update, step.update].map(|update| scaled(update, scale));
        let numbers = &*step
            .numbers
            .get_or_insert_with(|| StepNumbers::new(decaying, &parameter.gradient));
        let updated = match gate {
            Gate::Host(_) => update::update(update, numbers, update::Gate::Host, parameter),
            Gate::Device { scale, finite } => {
                let gate = update::Gate::Device {
                    scale: &read(scale.clone()),
                    counts: &truth(finite.clone()),
                };
                update::update(update, numbers, gate, parameter)
            }
        };
        let moments = Moments {
            first: Some(made(updated.first)),
            second: Some(made(updated.second)),
        };
        (made(updated.value), moments)
    }
}

fn scaled(update: Update, gradient_scale: f64) -> Update {
    Update {
        step: Step {
            gradient_scale,
            ..update.step
        },
        ..update
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
