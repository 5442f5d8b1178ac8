//! N states side by side that the iterations read from and write to (hyper-connections over
//! iterations as in looped-lm-scaling, arXiv 2604.21106).
//!
//! ```text
//! L_n = s_0 for all n
//! for i in 1..=r     u = Σ_n α_in L_n    z = R(A(u, e))    L_n ← Σ_m M_inm L_m + β_in z
//! s_i = Σ_n L_n
//! ```
//!
//! α, M and β have R rows, one per iteration. Iteration i uses row i − 1 modulo R, so every depth
//! is defined. At the start of training, row j of α, counted from 0, is the unit vector of lane j
//! mod N, M is the identity, and β = 1. Such a model does not start as the plain loop. The
//! published loop has a norm after the core and starts with L_n = e: `boundary_norm = "iteration"`
//! and `state_init = "input"` select both.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

use crate::config::ModelConfig;
use crate::init::{Initializer, Part, Role, Table, Weights};
use crate::ops::{self, LaneMix, LaneMixTensors};
use crate::recurrence::LoopState;

/// The weights of all iterations.
#[derive(Module, Debug)]
pub struct Lanes {
    /// α, `[R, N]`.
    read: Param<Tensor<2>>,
    /// M, `[R, N · N]`.
    mix: Param<Tensor<2>>,
    /// β, `[R, N]`.
    write: Param<Tensor<2>>,
}

/// Adds the parameters to the table, if lanes are configured.
pub(crate) fn parameters(table: &mut Table<'_>) {
    let Some(lanes) = table.config.hyper_connections else {
        return;
    };
    let (n, rows) = (lanes.lanes, lanes.rows(table.config.recurrence.mean));
    for (name, columns, init) in [
        ("lanes.read", n, Initializer::Cycle),
        ("lanes.mix", n * n, Initializer::Identities { size: n }),
        ("lanes.write", n, Initializer::Ones),
    ] {
        table.push(name, vec![rows, columns], Part::Lanes, Role::Rate, init);
    }
}

impl Lanes {
    /// Builds the lanes, if they are configured.
    pub fn new(config: &ModelConfig, weights: &Weights<'_>) -> Option<Self> {
        config.hyper_connections.map(|_| Self {
            read: weights.get("lanes.read"),
            mix: weights.get("lanes.mix"),
            write: weights.get("lanes.write"),
        })
    }

    /// Returns u, the input of the iteration after `state`.
    ///
    /// # Shapes
    ///
    /// `[batch, seq, d_model]`.
    pub(crate) fn read(&self, state: &LoopState) -> Tensor<3> {
        let lanes = self.lanes(state);
        let mix = LaneMix {
            row: self.row(state),
            lanes: self.count(),
            sums: 1,
        };
        let tensors = LaneMixTensors {
            lanes,
            fresh: None,
            weights: self.read.val(),
            gains: None,
        };
        ops::of(&tensors.lanes).mix_lanes(mix, tensors)
    }

    /// Returns the lanes and their sum after the iteration that follows `state`. `z` is the output
    /// of this iteration's core.
    ///
    /// # Shapes
    ///
    /// `z` and the sum: `[batch, seq, d_model]`; the lanes: `[batch, seq, N · d_model]`.
    pub(crate) fn write(&self, state: &LoopState, z: Tensor<3>) -> [Tensor<3>; 2] {
        let count = self.count();
        let tensors = LaneMixTensors {
            lanes: self.lanes(state),
            fresh: Some(z),
            weights: self.mix.val(),
            gains: Some(self.write.val()),
        };
        let ops = ops::of(&tensors.lanes);
        let mix = LaneMix {
            row: self.row(state),
            lanes: count,
            sums: count,
        };
        let lanes = ops.mix_lanes(mix, tensors);
        let ones = TensorData::new(vec![1.0_f32; count], [1, count]);
        let tensors = LaneMixTensors {
            lanes: lanes.clone(),
            fresh: None,
            weights: Tensor::from_data(ones, &lanes.device()),
            gains: None,
        };
        let sum = LaneMix {
            row: 0,
            lanes: count,
            sums: 1,
        };
        [lanes, ops.mix_lanes(sum, tensors)]
    }

    /// Returns the lanes of a state; before the first iteration these are copies of s_0.
    fn lanes(&self, state: &LoopState) -> Tensor<3> {
        match state.lanes() {
            Some(lanes) => lanes.clone(),
            None => Tensor::cat(vec![state.state().clone(); self.count()], 2),
        }
    }

    fn count(&self) -> usize {
        self.read.dims()[1]
    }

    /// Returns the row of the iteration after `state`.
    fn row(&self, state: &LoopState) -> usize {
        state.iterations() % self.read.dims()[0]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::config::HyperConnections;

    #[test]
    fn at_the_start_each_iteration_reads_the_next_lane_and_writes_to_all() {
        let mut config = ModelConfig {
            d_model: 2,
            n_heads: 1,
            n_kv_heads: 1,
            hyper_connections: Some(HyperConnections {
                lanes: 2,
                iterations: Some(3),
            }),
            ..ModelConfig::default()
        };
        config.recurrence.mean = 5;
        let device = Device::flex();
        let lanes = Lanes::new(&config, &Weights::new(&config, 0, &device)).expect("configured");
        let start: Tensor<3> = Tensor::from_data([[[1.0, 2.0]]], &device);
        let mut state = LoopState::from(start.clone());
        let values = |x: Tensor<3>| x.into_data().iter::<f32>().collect::<Vec<_>>();
        for i in 1..=4 {
            // Every lane is the initial state plus the z of all iterations so far.
            let before = (1..i).map(|i| 10.0 * i as f32).sum::<f32>();
            assert_eq!(values(lanes.read(&state)), [1.0 + before, 2.0 + before]);
            let z = Tensor::full([1, 1, 2], 10.0 * i as f32, &device);
            let [next, sum] = lanes.write(&state, z);
            state = state.followed_by(sum, 0).beside(Some(next));
        }
        assert_eq!(values(state.state().clone()), [2.0 * 101.0, 2.0 * 102.0]);
        // With two different lanes, iterations 1 to 3 read the first, the second and the first
        // lane; iteration 4 uses row 0 again.
        let apart: Tensor<3> = Tensor::from_data([[[1.0, 2.0, 3.0, 4.0]]], &device);
        let mut state = LoopState::from(start.clone()).beside(Some(apart.clone()));
        for expected in [[1.0, 2.0], [3.0, 4.0], [1.0, 2.0], [1.0, 2.0]] {
            assert_eq!(values(lanes.read(&state)), expected);
            state = state
                .followed_by(start.clone(), 0)
                .beside(Some(apart.clone()));
        }
    }
}
