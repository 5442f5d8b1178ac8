//! The next state as a running average of the core's outputs z_i, in place of z_i itself (InfiLoop,
//! arXiv 2610.11570).
//!
//! ```text
//! w_i = e^(⟨q, z_i⟩/rms(z_i))    D_i = β D_{i−1} + w_i
//! s_i = s_{i−1} + (w_i / D_i) (z_i − s_{i−1})    s_1 = z_1
//! ```
//!
//! So s_i is `Σ β^(i−j) w_j z_j / Σ β^(i−j) w_j` over the iterations j so far; s_0 is not part of
//! the average. The loop carries ln D in f32. The code of the paper is not public, and its formula
//! leaves the initial q and β open. Here q starts at 0, so every w_i is 1 at first, and the initial
//! β is an option. rms adds 1e-6 under its root.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::config::{InfiloopResidual, ModelConfig, ResidualKind};
use crate::init::{Initializer, Part, Role, Table, Weights};
use crate::ops::{self, BlendTensors, Forgetting, Total, TotalTensors};
use crate::recurrence::LoopState;

/// A running average of the outputs of the iterations.
#[derive(Module, Debug)]
pub struct Average {
    query: Param<Tensor<1>>,
    beta: Option<Param<Tensor<1>>>,
    #[module(skip)]
    total: Total,
}

/// Adds the parameters to the table, if an average is configured.
pub(crate) fn parameters(table: &mut Table<'_>) {
    let ResidualKind::Infiloop(InfiloopResidual { beta, learned }) = table.config.loop_residual
    else {
        return;
    };
    let h = table.config.d_model;
    let (part, role) = (Part::Residual, Role::Rate);
    table.push("residual.query", vec![h], part, role, Initializer::Zeros);
    if learned {
        let logit = Initializer::Constant((beta / (1.0 - beta)).ln());
        table.push("residual.beta", vec![1], part, role, logit);
    }
}

impl Average {
    /// Builds the average; `None` if the core's output is the next state.
    pub fn new(config: &ModelConfig, weights: &Weights<'_>) -> Option<Self> {
        let ResidualKind::Infiloop(InfiloopResidual { beta, learned }) = config.loop_residual
        else {
            return None;
        };
        Some(Self {
            query: weights.get("residual.query"),
            beta: learned.then(|| weights.get("residual.beta")),
            total: Total {
                forgetting: match learned {
                    true => Forgetting::Learned,
                    false => Forgetting::Fixed(beta as f32),
                },
            },
        })
    }

    /// Returns s_i and ln D_i, from the state `before` the iteration and the core's output `z`.
    ///
    /// # Shapes
    ///
    /// `z` and s_i: `[batch, seq, d_model]`; ln D_i: `[batch, seq, 1]`.
    pub(crate) fn follow(&self, before: &LoopState, z: Tensor<3>) -> [Tensor<3>; 2] {
        let ops = ops::of(&z);
        let past = before.total();
        let total = ops.total(
            self.total,
            TotalTensors {
                z: z.clone(),
                past: past.cloned(),
                query: self.query.val(),
                beta: self.beta.as_ref().map(Param::val),
            },
        );
        let next = match past {
            None => z,
            Some(_) => ops.blend(BlendTensors {
                z,
                average: before.state().clone(),
                total: total.clone(),
                query: self.query.val(),
            }),
        };
        [next, total]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn with_a_query_of_zero_and_a_beta_of_one_the_state_is_the_mean_of_the_outputs() {
        let config = ModelConfig {
            d_model: 2,
            n_heads: 1,
            n_kv_heads: 1,
            loop_residual: ResidualKind::Infiloop(InfiloopResidual {
                beta: 1.0,
                learned: false,
            }),
            ..ModelConfig::default()
        };
        let device = Device::flex();
        let weights = Weights::new(&config, 0, &device);
        let average = Average::new(&config, &weights).expect("it is configured");
        let mut state = LoopState::from(Tensor::from_data([[[100.0, -100.0]]], &device));
        for z in [[3.0, 0.0], [5.0, 2.0], [1.0, 7.0]] {
            let [next, total] = average.follow(&state, Tensor::from_data([[z]], &device));
            state = state.followed_by(next, 0).weighing(Some(total));
        }
        let found: Vec<f32> = state.state().clone().into_data().iter().collect();
        assert!(
            (found[0] - 3.0).abs() < 1e-6 && (found[1] - 3.0).abs() < 1e-6,
            "{found:?}"
        );
        let total: f32 = state.total().expect("it is carried").clone().into_scalar();
        assert!((total - 3.0_f32.ln()).abs() < 1e-6);
    }
}
