//! Scheduled disturbances: deliberate changes to a run at a given step.
//!
//! A disturbance is a pure function of configuration and step, so a resumed run is disturbed in the
//! same way.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use rondo_config::Report;
use rondo_config::report::{positive, section};
use rondo_data::DataConfig;
use rondo_metrics::{Record, RecordError};
use rondo_model::looped::LoopedTransformer;
use rondo_model::seed::{Stream, generator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[[perturb]]`: one disturbance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Perturbation {
    /// Multiplies the learning rate by `factor` for `steps` steps.
    LrSpike {
        /// The first step with this factor.
        at_step: u64,
        /// The factor of the learning rate.
        factor: f64,
        /// The number of steps with this factor.
        #[serde(default = "one")]
        steps: u64,
    },
    /// Removes the moments of the optimizer before step `at_step`.
    OptimizerReset {
        /// The first step without the old moments.
        at_step: u64,
    },
    /// Adds normal noise to every weight before step `at_step`. The standard deviation is `std`
    /// times the root mean square of the weight's tensor.
    WeightNoise {
        /// The first step with the changed weights.
        at_step: u64,
        /// The standard deviation of the noise, divided by the root mean square of the tensor.
        std: f64,
    },
    /// Switches to other training data at step `at_step`. The validation data stays the same.
    DataSwitch {
        /// The first step with the new data.
        at_step: u64,
        /// The new data.
        data: Box<DataConfig>,
    },
}

fn one() -> u64 {
    1
}

impl Perturbation {
    /// Returns the first step that the disturbance changes.
    pub fn at_step(&self) -> u64 {
        match self {
            Self::LrSpike { at_step, .. }
            | Self::OptimizerReset { at_step }
            | Self::WeightNoise { at_step, .. }
            | Self::DataSwitch { at_step, .. } => *at_step,
        }
    }

    /// Returns the new training data, if the disturbance switches to other data.
    pub fn switched_data(&self) -> Option<&DataConfig> {
        match self {
            Self::DataSwitch { data, .. } => Some(data),
            Self::LrSpike { .. } | Self::OptimizerReset { .. } | Self::WeightNoise { .. } => None,
        }
    }

    /// Returns the factor of the learning rate at step `step`.
    pub fn rate_factor(&self, step: u64) -> f64 {
        match self {
            Self::LrSpike {
                at_step,
                factor,
                steps,
            } if (*at_step..at_step.saturating_add(*steps)).contains(&step) => *factor,
            _ => 1.0,
        }
    }

    /// Adds the fields of the disturbance to the record of its event.
    ///
    /// # Errors
    ///
    /// Never: all names are different.
    pub fn describe(&self, event: &mut Record) -> Result<(), RecordError> {
        match self {
            Self::LrSpike { factor, steps, .. } => {
                event
                    .push("kind", "lr-spike")?
                    .push("factor", *factor)?
                    .push("steps", *steps)?;
            }
            Self::OptimizerReset { .. } => {
                event.push("kind", "optimizer-reset")?;
            }
            Self::WeightNoise { std, .. } => {
                event.push("kind", "weight-noise")?.push("std", *std)?;
            }
            Self::DataSwitch { .. } => {
                event.push("kind", "data-switch")?;
            }
        }
        Ok(())
    }

    /// Reports every violation with its key below one `[[perturb]]`.
    pub fn validate(&self, report: Report<'_>) {
        if self.at_step() == 0 {
            report("at_step", "steps count from 1, found 0".into());
        }
        match self {
            Self::LrSpike { factor, .. } => positive("factor", *factor, report),
            Self::WeightNoise { std, .. } => positive("std", *std, report),
            Self::DataSwitch { data, .. } => data.validate(&mut section("data", report)),
            Self::OptimizerReset { .. } => {}
        }
    }
}

/// Adds normal noise to every weight. The standard deviation is `std` times the root mean square of
/// the weight's tensor. The noise depends on `seed` and `step`.
pub fn with_noise(model: LoopedTransformer, std: f64, seed: u64, step: u64) -> LoopedTransformer {
    let mut rng = generator(seed, Stream::WeightNoise, step);
    model.map(&mut Noise {
        std,
        draw: &mut || StandardNormal.sample(&mut rng),
    })
}

/// Adds noise to one parameter after another.
struct Noise<'a> {
    std: f64,
    draw: &'a mut dyn FnMut() -> f32,
}

impl ModuleMapper for Noise<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, value, mapper) = param.consume();
        let value = value.without_autodiff();
        let shape = value.shape();
        let scale = value.clone().square().mean().sqrt() * self.std;
        let noise: Vec<f32> = (0..shape.num_elements()).map(|_| (self.draw)()).collect();
        let noise = Tensor::from_data(TensorData::new(noise, shape), &value.device());
        let after = value + noise * scale.unsqueeze();
        Param::from_mapped_value(id, after.autodiff().require_grad(), mapper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_lasts_its_steps() {
        let spike = Perturbation::LrSpike {
            at_step: 5,
            factor: 10.0,
            steps: 2,
        };
        let factors = [4, 5, 6, 7].map(|step| spike.rate_factor(step));
        assert!(
            factors
                .iter()
                .zip([1.0, 10.0, 10.0, 1.0])
                .all(|(a, b)| (a - b).abs() < 1e-12)
        );
    }

    #[test]
    fn what_cannot_happen_is_reported() {
        let mut keys = Vec::new();
        for perturbation in [
            Perturbation::OptimizerReset { at_step: 0 },
            Perturbation::WeightNoise {
                at_step: 1,
                std: -1.0,
            },
        ] {
            perturbation.validate(&mut |key, _| keys.push(key.to_owned()));
        }
        assert_eq!(keys, ["at_step", "std"]);
    }
}
