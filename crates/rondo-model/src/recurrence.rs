//! The loop: the same core block, applied again and again to the state.
//!
//! ```text
//! for i in 1..=r     s_i = R(A(s_{i-1}, e))
//! ```
//!
//! The loop does not know what R contains, nor whether anyone will differentiate it.

use std::ops::RangeInclusive;

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
    /// Returns s_i from s_{i−1}; `iteration` is i, from 1.
    fn iterate(&mut self, iteration: usize, state: Tensor<3>) -> Tensor<3>;
}

/// Runs `iterations`, from 1 or from where an earlier run ended, and returns the last state; a `trace` receives
/// every state but the first.
///
/// # Shapes
///
/// `state` and the result: `[batch, seq, d_model]`.
pub fn run(
    iterations: RangeInclusive<usize>,
    mut state: Tensor<3>,
    core: &mut impl Iterate,
    mut trace: Option<&mut Trace>,
) -> Tensor<3> {
    for iteration in iterations {
        state = core.iterate(iteration, state);
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

    /// Adds i times a factor in iteration i.
    struct Add(f32);

    impl Iterate for Add {
        fn iterate(&mut self, iteration: usize, state: Tensor<3>) -> Tensor<3> {
            state + self.0 * iteration as f32
        }
    }

    #[test]
    fn iterations_follow_one_another_and_every_state_is_traced() {
        let mut trace = Trace::default();
        let zero = Tensor::<3>::zeros([1, 1, 1], &Device::flex());
        trace.record(&zero);
        let two = run(1..=2, zero, &mut Add(1.0), Some(&mut trace));
        run(3..=5, two, &mut Add(10.0), Some(&mut trace));
        let values: Vec<f32> = trace
            .states
            .into_iter()
            .map(Tensor::into_scalar::<f32>)
            .collect();
        assert_eq!(values, [0.0, 1.0, 3.0, 33.0, 73.0, 123.0]);
    }
}
