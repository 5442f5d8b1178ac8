//! The loop: the same core block, applied again and again to the state.
//!
//! ```text
//! for i in 1..=r     s_i = R(A(s_{i-1}, e))
//! ```
//!
//! The loop does not know what R contains, nor whether anyone will differentiate it.

use burn::tensor::Tensor;

/// The states s_0, s_1, …, s_r of one forward pass, before the shared norm, without gradient.
///
/// Each is `[batch, seq, d_model]`.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// s_0 first.
    pub states: Vec<Tensor<3>>,
}

impl Trace {
    /// Takes in the next state.
    pub fn record(&mut self, state: &Tensor<3>) {
        self.states.push(state.clone().without_autodiff());
    }
}

/// One application of the core to a state.
pub trait Iterate {
    /// Returns s_i from s_{i−1}.
    fn iterate(&mut self, state: Tensor<3>) -> Tensor<3>;
}

/// Runs some iterations and returns the last state; a `trace` receives every state but the first.
///
/// # Shapes
///
/// `state` and the result: `[batch, seq, d_model]`.
pub fn run(
    iterations: usize,
    mut state: Tensor<3>,
    core: &mut impl Iterate,
    mut trace: Option<&mut Trace>,
) -> Tensor<3> {
    for _ in 0..iterations {
        state = core.iterate(state);
        if let Some(trace) = &mut trace {
            trace.record(&state);
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    struct Add(f32);

    impl Iterate for Add {
        fn iterate(&mut self, state: Tensor<3>) -> Tensor<3> {
            state + self.0
        }
    }

    #[test]
    fn iterations_follow_one_another_and_every_state_is_traced() {
        let mut trace = Trace::default();
        let zero = Tensor::<3>::zeros([1, 1, 1], &Device::flex());
        trace.record(&zero);
        let two = run(2, zero, &mut Add(1.0), Some(&mut trace));
        run(3, two, &mut Add(10.0), Some(&mut trace));
        let values: Vec<f32> = trace
            .states
            .into_iter()
            .map(Tensor::into_scalar::<f32>)
            .collect();
        assert_eq!(values, [0.0, 1.0, 2.0, 12.0, 22.0, 32.0]);
    }
}
