//! The numbers of a step that change from one step to the next, in one small buffer that all its updates read.
//!
//! They could be arguments of each launch, and then each launch would upload its own: CubeCL keeps the arguments of a
//! launch on the device where the next launch has the same ones.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::TensorData;
use burn_cubecl::CubeBackend;
use rondo_kernels::update::{Rule, Update};

use crate::tensor::{CubeTensor, contiguous};

/// Factor of gradients, from the host.
pub(super) const SCALE: usize = 0;
/// What the decay leaves of a parameter.
pub(super) const KEPT: usize = 1;
/// The rate, with the corrections that the rule puts there.
pub(super) const RATE: usize = 2;
/// ε of AdamW; of RavenAdam the correction of the second moment's root.
pub(super) const OWN: usize = 3;

/// The numbers of a step on the device.
#[derive(Clone, Debug)]
pub struct StepNumbers {
    update: Update,
    buffer: CubeTensor,
}

impl StepNumbers {
    /// Uploads the numbers of a step to the device of a tensor: those of its parameters that decay, with the factor of
    /// gradients in [`rondo_kernels::update::Step::gradient_scale`].
    pub fn new(update: Update, like: &CubeTensor) -> Self {
        let data = TensorData::new(values(update).to_vec(), [4]);
        Self {
            update,
            buffer: contiguous(CubeBackend::float_from_data(data, &like.device)),
        }
    }

    /// Returns the buffer for one of the step's parameters.
    ///
    /// # Panics
    ///
    /// Panics where its update is another one, but for its decay, which may be none.
    pub(super) fn buffer_for(&self, update: Update) -> &CubeTensor {
        let mut own = self.update;
        if update.step.decay == 0.0 {
            own.step.decay = 0.0;
        }
        assert_eq!(update, own, "an update of the step");
        &self.buffer
    }
}

fn values(Update { rule, step }: Update) -> [f32; 4] {
    let (c1, c2) = step.corrections();
    let [rate, own] = match rule {
        // Both corrections go into ε and the rate: one root and one division for each element.
        Rule::AdamW { eps } => [step.lr * c2.sqrt() / c1, eps * c2.sqrt()],
        Rule::RavenAdam { .. } => [step.lr / c1, c2.sqrt().recip()],
    };
    let mut values = [0.0; 4];
    values[SCALE] = step.gradient_scale as f32;
    values[KEPT] = (1.0 - step.decay) as f32;
    values[RATE] = rate as f32;
    values[OWN] = own as f32;
    values
}

#[cfg(test)]
mod tests {
    use rondo_kernels::update::Step;

    use super::*;

    const STEP: Step = Step {
        lr: 0.5,
        decay: 0.25,
        beta1: 0.5,
        beta2: 0.75,
        update: 1,
        gradient_scale: 0.125,
    };

    #[test]
    fn each_rule_has_its_numbers() {
        let numbers = |rule| values(Update { rule, step: STEP }).to_vec();
        // c₁ = 1/2, c₂ = 1/4.
        assert_eq!(numbers(Rule::AdamW { eps: 3.0 }), [0.125, 0.75, 0.5, 1.5]);
        let raven = Rule::RavenAdam {
            update_clipping: false,
        };
        assert_eq!(numbers(raven), [0.125, 0.75, 1.0, 2.0]);
    }
}
