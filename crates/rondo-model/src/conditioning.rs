//! How an iteration depends on its place in the loop: on its number i, or also on the recurrence
//! depth r of the pass.
//!
//! | kind | effect |
//! |---|---|
//! | embedding | `x + g ⊙ p_i` enters the core, `p_i = (sin iω, cos iω)`, `ω_j = 10000^(−2j/d)` |
//! | AdaLN | `(1 + s) ⊙ n(x)` enters a branch, `(1 + g) ⊙ f` leaves it, `[s ; g] = W p'_i` |
//! | loop gate | the core's output y is replaced by `y + ⟨q, ψ⟩ (y − s_{i−1})` |
//! | branch gate | a branch f is replaced by `(1 + ⟨q, ψ⟩) f`, with a q per branch |
//!
//! ```text
//! ψ(t, δ) = (t, δ, t², δ², tδ, sin πt, cos πt − 1, sin 2πt)    t = (i − 1)/r    δ = 1/r
//! ```
//!
//! d is the number of elements of p_i, which is the model's width. p'_i is p_i with 16 elements,
//! and s_{i−1} is the previous state. g, q and W are zero at the start of training, so the model
//! starts as the loop without conditioning. Every kind is a function of i and r, not a table, so
//! every depth is defined. A loop gate or a branch gate depends on r in every iteration, so passes
//! of different depths differ already in their first iteration. The branches are attention and the
//! MLP of each layer of the core.
//!
//! The embedding is that of the Universal Transformer (arXiv 1807.03819), which has no g. The other
//! kinds are from arXiv 2609.36636: AdaLN from eq. 9 and 11, where the paper has ψ in place of p',
//! the loop gate from eq. 7 and 8, and the branch gate from eq. 9 and 10.

use std::f64::consts::PI;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData, s};

use crate::adjustment::{Adjustment, Change};
use crate::config::{ConditioningKind, ModelConfig};
use crate::init::{Initializer, Part, Role, Table, Weights};
use crate::ops::{self, Difference, DifferenceTensors};
use crate::recurrence::LoopState;

/// The number of features ψ.
const FEATURES: usize = 8;

/// The number of features p' for AdaLN.
const PLACES: usize = 16;

/// The parameters of the conditioning.
#[derive(Module, Debug)]
pub enum Conditioning {
    /// Adds an embedding of the iteration's number to the input of the core.
    Embedding(Embedding),
    /// Scales the update of the state, depending on i and r.
    LoopGate(LoopGate),
    /// Scales every branch, and the norm before it, depending on i.
    AdaLn(AdaLn),
    /// Scales every branch, depending on i and r.
    BranchGate(BranchGate),
}

/// g, the gain of each channel, `[d_model]`.
#[derive(Module, Debug)]
pub struct Embedding {
    gain: Param<Tensor<1>>,
}

/// q, the weights of the features ψ, `[8]`.
#[derive(Module, Debug)]
pub struct LoopGate {
    query: Param<Tensor<1>>,
}

/// W of all branches side by side, `[16, branches · 2 · d_model]`: for each branch, first the
/// columns for s, which scales the norm before the branch, then the columns for g, which scales the
/// branch.
#[derive(Module, Debug)]
pub struct AdaLn {
    maps: Param<Tensor<2>>,
    #[module(skip)]
    branches: usize,
}

/// The weights of the features ψ, with a column q for each branch, `[8, branches]`.
#[derive(Module, Debug)]
pub struct BranchGate {
    queries: Param<Tensor<2>>,
}

/// Adds the parameters to the table, if a conditioning is configured.
pub(crate) fn parameters(table: &mut Table<'_>) {
    let (h, branches) = (table.config.d_model, 2 * table.config.layers.core);
    let (name, shape) = match table.config.conditioning {
        ConditioningKind::None => return,
        ConditioningKind::Embedding => ("conditioning.gain", vec![h]),
        ConditioningKind::LoopGate => ("conditioning.query", vec![FEATURES]),
        ConditioningKind::Adaln => ("conditioning.maps", vec![PLACES, branches * 2 * h]),
        ConditioningKind::BranchGate => ("conditioning.queries", vec![FEATURES, branches]),
    };
    let (part, role) = (Part::Conditioning, Role::Rate);
    table.push(name, shape, part, role, Initializer::Zeros);
}

impl Conditioning {
    /// Builds the conditioning; `None` if all iterations are the same.
    pub fn new(config: &ModelConfig, weights: &Weights<'_>) -> Option<Self> {
        Some(match config.conditioning {
            ConditioningKind::None => return None,
            ConditioningKind::Embedding => Self::Embedding(Embedding {
                gain: weights.get("conditioning.gain"),
            }),
            ConditioningKind::LoopGate => Self::LoopGate(LoopGate {
                query: weights.get("conditioning.query"),
            }),
            ConditioningKind::Adaln => Self::AdaLn(AdaLn {
                maps: weights.get("conditioning.maps"),
                branches: 2 * config.layers.core,
            }),
            ConditioningKind::BranchGate => Self::BranchGate(BranchGate {
                queries: weights.get("conditioning.queries"),
            }),
        })
    }

    /// Returns whether an iteration depends on the recurrence depth of the pass.
    pub fn reads_depth(&self) -> bool {
        matches!(self, Self::LoopGate(_) | Self::BranchGate(_))
    }

    /// Returns the input of the core in the iteration after `state`, computed from `x`.
    ///
    /// # Shapes
    ///
    /// `x` and the result: `[batch, seq, d_model]`.
    pub(crate) fn enter(&self, x: Tensor<3>, state: &LoopState) -> Tensor<3> {
        match self {
            Self::LoopGate(_) | Self::AdaLn(_) | Self::BranchGate(_) => x,
            Self::Embedding(embedding) => {
                let gain = embedding.gain.val();
                let [width] = gain.dims();
                let place = sinusoidal(state.iterations() + 1, width);
                let added: Tensor<3> = (gain * constant(&place, &x.device())).unsqueeze();
                x + added
            }
        }
    }

    /// Returns the adjustment of each layer of the core for the iteration after `state`, in a pass
    /// of `depth` iterations, or `None` if the conditioning does not adjust layers.
    pub(crate) fn adjust(&self, state: &LoopState, depth: usize) -> Option<Vec<Adjustment>> {
        let iteration = state.iterations() + 1;
        match self {
            Self::Embedding(_) | Self::LoopGate(_) => None,
            Self::AdaLn(adaln) => Some(adaln.adjust(iteration)),
            Self::BranchGate(gate) => Some(gate.adjust(iteration, depth)),
        }
    }

    /// Returns the output of the iteration after `state`, in a pass of `depth` iterations, computed
    /// from the core's output `y`.
    ///
    /// # Shapes
    ///
    /// `y` and the result: `[batch, seq, d_model]`.
    pub(crate) fn leave(&self, y: Tensor<3>, state: &LoopState, depth: usize) -> Tensor<3> {
        match self {
            Self::Embedding(_) | Self::AdaLn(_) | Self::BranchGate(_) => y,
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

impl AdaLn {
    fn adjust(&self, iteration: usize) -> Vec<Adjustment> {
        let factors = times(&sinusoidal(iteration, PLACES), self.maps.val()) + 1.0;
        let [_, width] = factors.dims();
        let factors = factors.reshape([width]);
        let h = width / self.branches / 2;
        branches(self.branches, |branch| {
            let part = |first: usize| factors.clone().slice(s![first..first + h]);
            Change {
                norm: Some(part(2 * branch * h)),
                branch: Some(part((2 * branch + 1) * h)),
                ..Change::default()
            }
        })
    }
}

impl BranchGate {
    fn adjust(&self, iteration: usize, depth: usize) -> Vec<Adjustment> {
        let gates = times(&features(iteration, depth), self.queries.val()) + 1.0;
        let [_, count] = gates.dims();
        let gates = gates.reshape([count]);
        branches(count, |branch| Change {
            branch: Some(gates.clone().slice(s![branch..=branch])),
            ..Change::default()
        })
    }
}

/// Builds the adjustment of every layer. The attention and the MLP of a layer are consecutive
/// branches.
fn branches(count: usize, change: impl Fn(usize) -> Change) -> Vec<Adjustment> {
    let layer = |layer: usize| Adjustment {
        attention: change(2 * layer),
        feed_forward: change(2 * layer + 1),
    };
    (0..count / 2).map(layer).collect()
}

/// Returns the product of a row of numbers and a matrix, `[1, columns]`.
fn times(row: &[f64], matrix: Tensor<2>) -> Tensor<2> {
    let row = constant(row, &matrix.device()).cast(matrix.dtype());
    let row: Tensor<2> = row.unsqueeze();
    row.matmul(matrix)
}

/// Returns ψ for iteration `iteration` of `depth`.
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

/// Returns p_i: first the sines, then the cosines.
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

/// Returns numbers as a tensor on a device, outside the graph.
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
        // Only the weight of δ is not zero: it is 1, and δ = 1/2 in the first of two iterations.
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
