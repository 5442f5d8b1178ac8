//! The loop: the same core block, applied r times to the state.
//!
//! ```text
//! for i in 1..=n     s_i = R(A(s_{i-1}, e))      no graph
//! for i in n+1..=r   s_i = R(A(s_{i-1}, e))      with gradient
//! ```
//!
//! Truncated backpropagation (arXiv 2502.05171, §3.3). The loop does not know what R contains.

use burn::tensor::Tensor;

use crate::depth::Unroll;

/// The states s_0, s_1, …, s_r of one forward pass, before the shared norm, without gradient.
///
/// Each is `[batch, seq, d_model]`.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// s_0 first.
    pub states: Vec<Tensor<3>>,
}

/// One application of the core to a state.
pub trait Iterate {
    /// Returns s_i from s_{i−1}.
    fn iterate(&self, state: Tensor<3>) -> Tensor<3>;
}

/// Runs the loop and returns s_r.
///
/// `free` runs the first n iterations and must build no graph; `tracked` runs the other k. A
/// `trace` receives every state.
///
/// # Shapes
///
/// `state` and the result: `[batch, seq, d_model]`.
pub fn run(
    unroll: Unroll,
    state: Tensor<3>,
    free: &impl Iterate,
    tracked: &impl Iterate,
    mut trace: Option<&mut Trace>,
) -> Tensor<3> {
    let mut record = |state: &Tensor<3>| {
        if let Some(trace) = &mut trace {
            trace.states.push(state.clone().without_autodiff());
        }
    };
    record(&state);
    let mut state = state;
    for _ in 0..unroll.no_grad {
        state = free.iterate(state);
        record(&state);
    }
    for _ in 0..unroll.with_grad {
        state = tracked.iterate(state);
        record(&state);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    struct Add(f32);

    impl Iterate for Add {
        fn iterate(&self, state: Tensor<3>) -> Tensor<3> {
            state + self.0
        }
    }

    #[test]
    fn n_free_iterations_come_before_k_tracked_ones_and_every_state_is_traced() {
        let mut trace = Trace::default();
        let zero = Tensor::<3>::zeros([1, 1, 1], &Device::flex());
        let unroll = Unroll {
            no_grad: 2,
            with_grad: 3,
        };
        run(unroll, zero, &Add(1.0), &Add(10.0), Some(&mut trace));
        let values: Vec<f32> = trace
            .states
            .into_iter()
            .map(Tensor::into_scalar::<f32>)
            .collect();
        assert_eq!(values, [0.0, 1.0, 2.0, 12.0, 22.0, 32.0]);
    }
}
