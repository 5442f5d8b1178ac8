//! The loop: the same core block, applied repeatedly to the state.
//!
//! ```text
//! for i in 1..=r     s_i = R(A(s_{i-1}, e))
//! ```
//!
//! The loop does not depend on the content of R, nor on whether s_r is differentiated. An iteration
//! passes one value to the next, [`LoopState`]: s_i, and further tensors that some loops carry.

use burn::tensor::Tensor;

/// The value that iteration i passes to the next one: the number i, the state s_i, the earlier
/// states for a history, the logarithm of the total weight of an average, and lanes.
///
/// Each state is `[batch, seq, d_model]`, the logarithm is `[batch, seq, 1]`, the N lanes are
/// `[batch, seq, N · d_model]`.
#[derive(Clone, Debug)]
pub struct LoopState {
    iterations: usize,
    state: Tensor<3>,
    past: Vec<Tensor<3>>,
    total: Option<Tensor<3>>,
    lanes: Option<Tensor<3>>,
}

/// Makes the value before the first iteration from s_0.
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
    /// Returns i, the number of iterations so far.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// Returns s_i, as the next iteration reads it.
    pub fn state(&self) -> &Tensor<3> {
        &self.state
    }

    /// Returns s_i without the tensors carried along with it.
    #[must_use]
    pub fn into_state(self) -> Tensor<3> {
        self.state
    }

    /// Replaces s_i by `state`.
    #[must_use]
    pub fn at(self, state: Tensor<3>) -> Self {
        Self { state, ..self }
    }

    /// Decreases the iteration number by one, so that the last iteration can be applied once more
    /// to this state.
    #[must_use]
    pub fn once_more(self) -> Self {
        Self {
            iterations: self.iterations.saturating_sub(1),
            ..self
        }
    }

    /// Returns the carried earlier states s_{i−1}, s_{i−2}, …. s_0 is never one of these states,
    /// because it is not the output of an iteration.
    pub fn past(&self) -> &[Tensor<3>] {
        &self.past
    }

    /// Returns the logarithm of the total weight of the outputs in the state's average, if the
    /// state is an average.
    pub fn total(&self) -> Option<&Tensor<3>> {
        self.total.as_ref()
    }

    /// Replaces the logarithm of the total weight.
    #[must_use]
    pub fn weighing(self, total: Option<Tensor<3>>) -> Self {
        Self { total, ..self }
    }

    /// Returns the lanes side by side, or `None` if there are no lanes, as before the first
    /// iteration.
    pub fn lanes(&self) -> Option<&Tensor<3>> {
        self.lanes.as_ref()
    }

    /// Replaces the lanes.
    #[must_use]
    pub fn beside(self, lanes: Option<Tensor<3>>) -> Self {
        Self { lanes, ..self }
    }

    /// Returns the value after an iteration that computed `state`. This value carries up to
    /// `window` earlier states for a history.
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

    /// Returns all tensors, s_i first.
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

/// The states s_0, s_1, …, s_r of one forward pass, as the iterations pass them on, without
/// gradient.
///
/// Each is `[batch, seq, d_model]`.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// s_0 first.
    pub states: Vec<Tensor<3>>,
}

impl Trace {
    /// Appends the next state.
    pub fn record(&mut self, state: &Tensor<3>) {
        self.states.push(state.clone().without_autodiff());
    }
}

/// One application of the core to a state.
pub trait Iterate {
    /// Runs iteration i: maps the value after iteration i − 1 to the value after iteration i.
    fn iterate(&mut self, state: LoopState) -> LoopState;
}

/// Runs `iterations` iterations from `state`, which is s_0 or the end of an earlier run. Returns
/// the value after the last iteration. If `trace` is given, it receives every state after `state`.
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

    /// Iteration i adds i times this factor to the state.
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
        // The states s_1 to s_4 are 1, 3, 6 and 10.
        assert_eq!(carried(1), [0.0; 0]);
        assert_eq!(carried(2), [1.0]);
        assert_eq!(carried(4), [6.0, 3.0]);
    }
}
