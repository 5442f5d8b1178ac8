//! The loop: the same core block, applied again and again to the state.
//!
//! ```text
//! for i in 1..=r     s_i = R(A(s_{i-1}, e))
//! ```
//!
//! The loop does not know what R contains, nor whether anyone will differentiate it. What an iteration hands to the next is one
//! value, [`LoopState`]: s_i, and what some loops carry beside it.

use burn::tensor::Tensor;

/// What an iteration hands to the next: its number i, s_i, the earlier states that a history reads, the weights of
/// an average, and lanes.
///
/// Each state is `[batch, seq, d_model]`, the weights are `[batch, seq, 1]`, N lanes `[batch, seq, N · d_model]`.
#[derive(Clone, Debug)]
pub struct LoopState {
    iterations: usize,
    state: Tensor<3>,
    past: Vec<Tensor<3>>,
    total: Option<Tensor<3>>,
    lanes: Option<Tensor<3>>,
}

/// s_0, before the first iteration.
impl From<Tensor<3>> for LoopState {
    fn from(state: Tensor<3>) -> Self {
        Self {
            iterations: 0,
            state,
            past: Vec::new(),
            total: None,
            lanes: None,
        }
    }
}

impl LoopState {
    /// Returns i, the iterations done.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Returns s_i, before the shared norm.
    pub fn state(&self) -> &Tensor<3> {
        &self.state
    }

    /// Returns s_i alone.
    #[must_use]
    pub fn into_state(self) -> Tensor<3> {
        self.state
    }

    /// Returns the same with another s_i, as if the iteration had made it.
    #[must_use]
    pub fn at(self, state: Tensor<3>) -> Self {
        Self { state, ..self }
    }

    /// Returns the same as what the last iteration takes in, so that it follows once more.
    #[must_use]
    pub fn once_more(self) -> Self {
        Self {
            iterations: self.iterations.saturating_sub(1),
            ..self
        }
    }

    /// Returns s_{i−1}, s_{i−2}, …, as many as are carried: never s_0, which is no state that an iteration has made.
    pub fn past(&self) -> &[Tensor<3>] {
        &self.past
    }

    /// Returns the logarithm of the weights of all outputs that the state averages, where it averages any.
    pub fn total(&self) -> Option<&Tensor<3>> {
        self.total.as_ref()
    }

    /// Returns the same with other weights.
    #[must_use]
    pub fn weighing(self, total: Option<Tensor<3>>) -> Self {
        Self { total, ..self }
    }

    /// Returns the lanes, side by side, where there are any: none before the first iteration.
    pub fn lanes(&self) -> Option<&Tensor<3>> {
        self.lanes.as_ref()
    }

    /// Returns the same with other lanes.
    #[must_use]
    pub fn beside(self, lanes: Option<Tensor<3>>) -> Self {
        Self { lanes, ..self }
    }

    /// Returns what follows when the next iteration makes `state` and a history of `window` states is carried.
    #[must_use]
    pub fn followed_by(self, state: Tensor<3>, window: usize) -> Self {
        let Self {
            iterations,
            state: before,
            mut past,
            total,
            lanes,
        } = self;
        if iterations > 0 && window > 0 {
            past.truncate(window - 1);
            past.insert(0, before);
        }
        Self {
            iterations: iterations + 1,
            state,
            past,
            total,
            lanes,
        }
    }

    /// Returns every tensor, s_i first.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor<3>> {
        std::iter::once(&self.state)
            .chain(&self.past)
            .chain(&self.total)
            .chain(&self.lanes)
    }

    /// Replaces every tensor, in the order of [`Self::tensors`].
    #[must_use]
    pub fn map(self, mut replace: impl FnMut(Tensor<3>) -> Tensor<3>) -> Self {
        Self {
            iterations: self.iterations,
            state: replace(self.state),
            past: self.past.into_iter().map(&mut replace).collect(),
            total: self.total.map(&mut replace),
            lanes: self.lanes.map(replace),
        }
    }
}

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
    /// Returns what follows s_{i−1}: s_i, with what is carried beside it.
    fn iterate(&mut self, state: LoopState) -> LoopState;
}

/// Runs `iterations` from where an earlier run ended, and returns what the last one hands on; a `trace` receives
/// every state but the first.
pub fn run(
    iterations: usize,
    mut state: LoopState,
    core: &mut impl Iterate,
    mut trace: Option<&mut Trace>,
) -> LoopState {
    for _ in 0..iterations {
        state = core.iterate(state);
        if let Some(trace) = &mut trace {
            trace.record(state.state());
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
        fn iterate(&mut self, state: LoopState) -> LoopState {
            let next = state.state().clone() + self.0 * (state.iterations() + 1) as f32;
            state.followed_by(next, 2)
        }
    }

    fn values(states: impl IntoIterator<Item = Tensor<3>>) -> Vec<f32> {
        let states = states.into_iter();
        states.map(Tensor::into_scalar::<f32>).collect()
    }

    #[test]
    fn iterations_follow_one_another_and_every_state_is_traced() {
        let mut trace = Trace::default();
        let zero = Tensor::<3>::zeros([1, 1, 1], &Device::flex());
        trace.record(&zero);
        let two = run(2, zero.into(), &mut Add(1.0), Some(&mut trace));
        let five = run(3, two, &mut Add(10.0), Some(&mut trace));
        assert_eq!(five.iterations(), 5);
        assert_eq!(values(trace.states), [0.0, 1.0, 3.0, 33.0, 73.0, 123.0]);
    }

    #[test]
    fn the_newest_states_are_carried_and_the_first_never_is() {
        let zero = Tensor::<3>::zeros([1, 1, 1], &Device::flex());
        let carried = |iterations| {
            let state = run(iterations, zero.clone().into(), &mut Add(1.0), None);
            values(state.past().to_vec())
        };
        // s_i = 1, 3, 6, 10.
        assert_eq!(carried(1), [0.0; 0]);
        assert_eq!(carried(2), [1.0]);
        assert_eq!(carried(4), [6.0, 3.0]);
    }
}
