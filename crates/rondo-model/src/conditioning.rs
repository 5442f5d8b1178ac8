//! What an iteration is told of its place in the loop: its number i, or also the depth r of the whole pass.
//!
//! | kind | what it does | source |
//! |---|---|---|
//! | embedding | `x + g ⊙ p_i` enters the core, `p_i = (sin iω, cos iω)`, `ω_j = 10000^(−2j/d)` | Universal Transformer, arXiv 1807.03819, which has no g |
//! | loop gate | y, the core's output, becomes `y + ⟨q, ψ⟩ (y − s_{i−1})` | arXiv 2609.36636, eq. 7 and 8 |
//!
//! ```text
//! ψ(t, δ) = (t, δ, t², δ², tδ, sin πt, cos πt − 1, sin 2πt)    t = (i − 1)/r    δ = 1/r
//! ```
//!
//! g and q are zero at the start, so that the loop is the one without. Both are functions of any i and r, no tables: each depth is
//! defined. The gate needs r before the first iteration; a pass to another depth is another one from its start.

use std::f64::consts::PI;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::config::{ConditioningKind, ModelConfig};
use crate::init::{Initializer, Part, Role, Table, Weights};
use crate::ops::{self, Difference, DifferenceTensors};
use crate::recurrence::LoopState;

/// Numbers that say where in a pass an iteration is.
const FEATURES: usize = 8;

/// What an iteration is told.
#[derive(Module, Debug)]
pub enum Conditioning {
    /// Its number.
    Embedding(Embedding),
    /// Its place in the pass.
    LoopGate(LoopGate),
}

/// The gain of each channel, `[d_model]`.
#[derive(Module, Debug)]
pub struct Embedding {
    gain: Param<Tensor<1>>,
}

/// The weights of the features, `[8]`.
#[derive(Module, Debug)]
pub struct LoopGate {
    query: Param<Tensor<1>>,
}

/// Adds the parameters to the table, where there are any.
pub(crate) fn parameters(table: &mut Table<'_>) {
    let (name, count) = match table.config.conditioning {
        ConditioningKind::None => return,
        ConditioningKind::Embedding => ("conditioning.gain", table.config.d_model),
        ConditioningKind::LoopGate => ("conditioning.query", FEATURES),
    };
    let (part, role) = (Part::Conditioning, Role::Rate);
    table.push(name, vec![count], part, role, Initializer::Zeros);
}

impl Conditioning {
    /// Builds it; none where all iterations are the same.
    pub fn new(config: &ModelConfig, weights: &Weights<'_>) -> Option<Self> {
        Some(match config.conditioning {
            ConditioningKind::None => return None,
            ConditioningKind::Embedding => Self::Embedding(Embedding {
                gain: weights.get("conditioning.gain"),
            }),
            ConditioningKind::LoopGate => Self::LoopGate(LoopGate {
                query: weights.get("conditioning.query"),
            }),
        })
    }

    /// Returns whether an iteration depends on how many there will be.
    pub fn reads_depth(&self) -> bool {
        matches!(self, Self::LoopGate(_))
    }

    /// Returns what enters the core in place of `x`, in the iteration after `state`.
    ///
    /// # Shapes
    ///
    /// `x` and the result: `[batch, seq, d_model]`.
    pub(crate) fn enter(&self, x: Tensor<3>, state: &LoopState) -> Tensor<3> {
        match self {
            Self::LoopGate(_) => x,
            Self::Embedding(embedding) => {
                let gain = embedding.gain.val();
                let [width] = gain.dims();
                let place = sinusoidal(state.iterations() + 1, width);
                let added: Tensor<3> = (gain * constant(&place, &x.device())).unsqueeze();
                x + added
            }
        }
    }

    /// Returns what the core's output `y` becomes in the iteration after `state`, of `depth` in all.
    ///
    /// # Shapes
    ///
    /// `y` and the result: `[batch, seq, d_model]`.
    pub(crate) fn leave(&self, y: Tensor<3>, state: &LoopState, depth: usize) -> Tensor<3> {
        match self {
            Self::Embedding(_) => y,
            Self::LoopGate(gate) => {
                let features = features(state.iterations() + 1, depth);
                let query = gate.query.val();
                let more = (query * constant(&features, &y.device())).sum();
                let tensors = DifferenceTensors {
                    x: state.state().clone(),
                    past: y.clone(),
                    base: Some(y),
                    coefficients: more.reshape([1, 1]),
                };
                ops::of(&tensors.x).difference(Difference { lag: 0 }, tensors)
            }
        }
    }
}

/// Returns ψ of iteration i of r.
fn features(iteration: usize, depth: usize) -> [f64; FEATURES] {
    let depth = depth as f64;
    let (t, delta) = ((iteration - 1) as f64 / depth, 1.0 / depth);
    [
        t,
        delta,
        t * t,
        delta * delta,
        t * delta,
        (PI * t).sin(),
        (PI * t).cos() - 1.0,
        (2.0 * PI * t).sin(),
    ]
}

/// Returns p_i: the sines, then the cosines.
fn sinusoidal(iteration: usize, width: usize) -> Vec<f64> {
    let angles = |j: usize| {
        let rate = 10_000_f64.powf(-2.0 * j as f64 / width as f64);
        iteration as f64 * rate
    };
    let half = width.div_ceil(2);
    let sines = (0..half).map(|j| angles(j).sin());
    let cosines = (0..width - half).map(|j| angles(j).cos());
    sines.chain(cosines).collect()
}

/// Returns numbers on a device, outside the graph.
fn constant(values: &[f64], device: &Device) -> Tensor<1> {
    let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_features_of_the_first_of_two_iterations_and_of_the_second_can_be_redone() {
        let near = |found: [f64; FEATURES], expected: [f64; FEATURES]| {
            let pairs = found.iter().zip(expected);
            pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "{found:?}"));
        };
        near(features(1, 2), [0.0, 0.5, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0]);
        near(features(2, 2), [0.5, 0.5, 0.25, 0.25, 0.25, 1.0, -1.0, 0.0]);
    }

    #[test]
    fn an_embedding_has_length_one_in_every_pair_at_any_number() {
        for iteration in [1, 7, 1024] {
            let p = sinusoidal(iteration, 6);
            for j in 0..3 {
                assert!((p[j] * p[j] + p[j + 3] * p[j + 3] - 1.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_gate_of_a_half_goes_half_a_step_further() {
        let device = Device::flex();
        // δ = 1/2 in the first of two iterations, and q has 1 there.
        let mut query = [0.0; FEATURES];
        query[1] = 1.0;
        let query = Param::from_data(query, &device);
        let gate = Conditioning::LoopGate(LoopGate { query });
        let state = LoopState::from(Tensor::from_data([[[1.0, 4.0]]], &device));
        let y = gate.leave(Tensor::from_data([[[3.0, 4.0]]], &device), &state, 2);
        let y: Vec<f32> = y.into_data().iter().collect();
        assert!(
            (y[0] - 4.0).abs() < 1e-6 && (y[1] - 4.0).abs() < 1e-6,
            "{y:?}"
        );
    }
}
