//! `e^(−Δa) ⊙ s + step ⊙ (e · B)` (Parcae, arXiv 2604.12946).
//!
//! The state of each channel decays separately, so the injection contracts for any B. If step is Δ,
//! this is the published rule. If step is `(1 − e^(−Δa)) / a`, this is the exact solution of
//! `ẋ = −a x + B e` over the time Δ.

use burn::module::Module;
use burn::tensor::Tensor;

use super::rates::Rates;
use crate::config::Discretisation;
use crate::init::Weights;
use crate::ops::Coefficient;

/// A decay for each channel, and a matrix for e.
#[derive(Module, Debug)]
pub struct Diagonal {
    rates: Rates,
    #[module(skip)]
    step: Coefficient,
}

impl Diagonal {
    pub(super) fn new(discretisation: Discretisation, weights: &Weights<'_>) -> Self {
        Self {
            rates: Rates::new(weights),
            step: match discretisation {
                Discretisation::Euler => Coefficient::Step,
                Discretisation::ZeroOrderHold => Coefficient::Hold,
            },
        }
    }

    /// Returns `step ⊙ (e · B)`.
    pub(super) fn prepare(&self, embedding: Tensor<3>) -> Tensor<3> {
        self.rates.update(self.step, embedding)
    }

    /// Returns the sum of the decayed state and `prepared`.
    pub(super) fn forward(&self, state: Tensor<3>, prepared: Tensor<3>) -> Tensor<3> {
        self.rates
            .channels(Coefficient::Decay, state, Some(prepared))
    }

    /// Returns the decay of each channel, `[d_model]`.
    pub(super) fn decay(&self) -> Tensor<1> {
        self.rates.decay()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::config::{InjectionKind, ModelConfig};

    #[test]
    fn at_the_start_half_of_ln_5_of_the_embedding_enters_and_the_root_of_a_fifth_of_the_state_stays()
     {
        let config = ModelConfig {
            injection: InjectionKind::Orthogonal,
            d_model: 2,
            n_heads: 1,
            n_kv_heads: 1,
            ..ModelConfig::default()
        };
        let device = Device::flex();
        let weights = Weights::new(&config, 0, &device);
        let (root, half) = (0.2_f64.sqrt(), 5.0_f64.ln() / 2.0);
        // With a = 1, the step of the zero-order hold is 1 − √(1/5).
        for (discretisation, step) in [
            (Discretisation::Euler, half),
            (Discretisation::ZeroOrderHold, 1.0 - root),
        ] {
            let diagonal = Diagonal::new(discretisation, &weights);
            let prepared = diagonal.prepare(Tensor::from_data([[[1.0, -2.0]]], &device));
            let state = Tensor::from_data([[[3.0, 5.0]]], &device);
            let found: Vec<f32> = diagonal
                .forward(state, prepared)
                .into_data()
                .iter()
                .collect();
            let expected = [3.0 * root + step, 5.0 * root - 2.0 * step];
            for (found, expected) in found.into_iter().zip(expected) {
                assert!(
                    (f64::from(found) - expected).abs() < 1e-6,
                    "{found}, not {expected}"
                );
            }
        }
    }
}
