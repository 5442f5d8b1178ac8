//! The numbers that change from step to step. They are in one small buffer that all updates of a
//! step read.
//!
//! As arguments of each launch, they would be uploaded once per launch: CubeCL reuses arguments on
//! the device only if the next launch has the same arguments.

use burn::backend::ops::FloatTensorOps;
use burn::tensor::TensorData;
use burn_cubecl::CubeBackend;
use rondo_kernels::update::{Rule, Update};

use crate::tensor::{CubeTensor, contiguous};

/// The index of the gradients' factor, if it comes from the host.
pub(super) const SCALE: usize = 0;
/// The index of the share of a parameter that remains after decay.
pub(super) const KEPT: usize = 1;
/// The index of the learning rate with the rule's bias corrections.
pub(super) const RATE: usize = 2;
/// The index of the rule's own number. AdamW: ε. RavenAdam: the bias correction of the root of the
/// second moment.
pub(super) const OWN: usize = 3;

/// The numbers of a step on the device.
#[derive(Clone, Debug)]
pub struct StepNumbers {
    update: Update,
    buffer: CubeTensor,
}

impl StepNumbers {
    /// Uploads the numbers of a step to the device of `like`. `update` describes the update of the
    /// parameters that decay. Its [`rondo_kernels::update::Step::gradient_scale`] is the factor of
    /// the gradients.
    pub fn new(update: Update, like: &CubeTensor) -> Self {
        let data = TensorData::new(values(update).to_vec(), [4]);
        Self {
            update,
            buffer: contiguous(CubeBackend::float_from_data(data, &like.device)),
        }
    }

    /// Returns the buffer for the update of one parameter.
    ///
    /// # Panics
    ///
    /// Panics if the update differs from the update of the step. Only the decay may differ: it may
    /// be zero.
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
        // Both bias corrections are moved into ε and the rate, so each element needs only one root
        // and one division.
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
        // With these decays, c₁ = 1/2 and c₂ = 1/4.
        assert_eq!(numbers(Rule::AdamW { eps: 3.0 }), [0.125, 0.75, 0.5, 1.5]);
        let raven = Rule::RavenAdam {
            update_clipping: false,
        };
        assert_eq!(numbers(raven), [0.125, 0.75, 1.0, 2.0]);
    }
}
