//! Measurements of the states of a forward pass: correlations, residuals and norms.
//!
//! Token correlation c of a state x `[batch, seq, d_model]`: the features of each token are centred
//! and scaled to length 1. c is the mean dot product over all pairs of positions, minus 1/S, where
//! S is the number of positions. The mean of all pairwise dot products is the squared length of the
//! mean vector, so no S × S matrix is needed. c is at most 1 − 1/S. The metric `hidden_state_corr`
//! is c·S/(S−1), the mean over pairs of different positions. It is exactly 1 if all tokens have the
//! same state.
//!
//! Iteration correlation: the Pearson correlation of s_i and s_{i−1} over features, averaged over
//! tokens. The metrics have the names that the reference implementation of arXiv 2502.05171 uses.
//!
//! All values are computed on the device and read at once. If all features of a token are equal, a
//! correlation is NaN on the device. A sequence of one token has no token correlation, although c
//! on the device is a number. In both cases the record contains null.

use burn::tensor::Tensor;
use rondo_metrics::Draft;
use rondo_metrics::names::{
    HIDDEN_STATE_CORR, ITERATION_CORR, ITERATIONS_REL_RESIDUAL, ITERATIONS_RESIDUAL,
    ITERATIONS_STATE_CORR, ITERATIONS_STATE_NORM, ITERATIONS_TOKEN_CORR, LAST_HIDDEN_NORM,
    LAST_HIDDEN_TOKEN_CORR, RECURRENT_DIFF, RECURRENT_RESIDUAL, RECURRENT_STATE_NORM,
    RECURRENT_STATE_TOKEN_CORR, REL_RESIDUAL,
};
use rondo_metrics::typed::Train;
use rondo_model::looped::Forward;
use rondo_model::ops::length;
use rondo_model::recurrence::Trace;

use crate::named::named;

named! {
    /// The telemetry of one forward pass. `T` is a tensor `[1]` on the device, or a number that was
    /// read from the device. n_f is the norm of the readout, r the number of iterations, s_i the
    /// state after iteration i, e the embedding, and y the output of the coda. The input of the
    /// head is n_f(y).
    #[derive(Clone, Debug, PartialEq)]
    pub struct Telemetry<T> {
        values {
            /// The token correlation c of n_f(s_r).
            pub recurrent_state_token_corr,
            /// The token correlation c of n_f(y).
            pub last_hidden_token_corr,
            /// The mean over tokens of ‖n_f(s_r)‖.
            pub recurrent_state_norm,
            /// The mean over tokens of ‖n_f(y)‖.
            pub last_hidden_norm,
            /// The mean over tokens of ‖n_f(s_r) − e‖.
            pub recurrent_diff,
            /// The mean over tokens of ‖n_f(s_r) − s_{r−1}‖.
            pub recurrent_residual,
            /// The mean over tokens of ‖n_f(s_r) − s_{r−1}‖ / ‖n_f(s_r)‖.
            pub rel_residual,
        }
        parts {
            /// The telemetry of each iteration. Iteration i is at index i − 1.
            pub iterations: Vec<Iteration<T>>,
        }
        beside {
            /// S, the number of positions in a sequence.
            pub seq: usize,
        }
    }
}

named! {
    /// The telemetry of iteration i. Unlike in [`Telemetry`], n_f is not applied to the states. All
    /// values except the token correlation are means over tokens.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Iteration<T> {
        values {
            /// The token correlation c of s_i.
            pub token_corr,
            /// The Pearson correlation of s_i and s_{i−1}.
            pub state_corr,
            /// ‖s_i − s_{i−1}‖.
            pub residual,
            /// ‖s_i − s_{i−1}‖ / ‖s_i‖.
            pub rel_residual,
            /// ‖s_i‖.
            pub state_norm,
        }
    }
}

/// Computes the telemetry on the device.
///
/// # Panics
///
/// Panics if the trace has no iteration.
pub fn measure(forward: &Forward, trace: &Trace) -> Telemetry<Tensor<1>> {
    let embedding = forward.embedding.clone().without_autodiff();
    let state = forward.readout.state.clone().without_autodiff();
    let hidden = forward.readout.hidden.clone().without_autodiff();
    let before_last = trace.states[trace.states.len() - 2].clone();
    let residual = length(state.clone() - before_last);
    let state_length = length(state.clone());
    let [_, seq, _] = state.dims();
    Telemetry {
        recurrent_state_token_corr: token_corr(unit(state.clone())),
        last_hidden_token_corr: token_corr(unit(hidden.clone())),
        recurrent_state_norm: state_length.clone().mean(),
        last_hidden_norm: length(hidden).mean(),
        recurrent_diff: length(state - embedding).mean(),
        recurrent_residual: residual.clone().mean(),
        rel_residual: (residual / state_length).mean(),
        iterations: iterations(trace),
        seq,
    }
}

fn iterations(trace: &Trace) -> Vec<Iteration<Tensor<1>>> {
    let mut previous_unit = unit(trace.states[0].clone());
    let mut iterations = Vec::new();
    for pair in trace.states.windows(2) {
        let [previous, current] = [&pair[0], &pair[1]];
        let current_unit = unit(current.clone());
        let residual = length(current.clone() - previous.clone());
        let norm = length(current.clone());
        iterations.push(Iteration {
            token_corr: token_corr(current_unit.clone()),
            state_corr: (current_unit.clone() * previous_unit).sum_dim(2).mean(),
            residual: residual.clone().mean(),
            rel_residual: (residual / norm.clone()).mean(),
            state_norm: norm.mean(),
        });
        previous_unit = current_unit;
    }
    iterations
}

/// Centres feature vectors and scales them to length 1. A constant vector becomes NaN.
fn unit(x: Tensor<3>) -> Tensor<3> {
    let centred = x.clone() - x.mean_dim(2);
    centred.clone() / length(centred)
}

/// Returns the token correlation c, `[1]`, of unit vectors `[batch, seq, d_model]`.
fn token_corr(unit: Tensor<3>) -> Tensor<1> {
    let [_, seq, _] = unit.dims();
    let mean_vector = unit.mean_dim(1);
    mean_vector.square().sum_dim(2).mean() - 1.0 / seq as f64
}

impl Telemetry<f64> {
    /// Adds the telemetry to the record of the step.
    pub fn write(&self, record: &mut Draft<Train>) {
        let seq = self.seq as f64;
        let token_corr = self.correlation(self.recurrent_state_token_corr);
        let state_corr: Vec<Option<f64>> = (0..)
            .zip(&self.iterations)
            // The first correlation is omitted, because the state before the first iteration, s_0,
            // is noise.
            .map(|(i, each)| finite(each.state_corr).filter(|_| i > 0))
            .collect();
        let known: Vec<f64> = state_corr.iter().flatten().copied().collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        record
            .set(HIDDEN_STATE_CORR, token_corr.map(|c| c * seq / (seq - 1.0)))
            .set(RECURRENT_STATE_TOKEN_CORR, token_corr)
            .set(
                LAST_HIDDEN_TOKEN_CORR,
                self.correlation(self.last_hidden_token_corr),
            )
            .set(ITERATION_CORR, (!known.is_empty()).then_some(mean))
            .set(RECURRENT_STATE_NORM, self.recurrent_state_norm)
            .set(LAST_HIDDEN_NORM, self.last_hidden_norm)
            .set(RECURRENT_DIFF, self.recurrent_diff)
            .set(RECURRENT_RESIDUAL, self.recurrent_residual)
            .set(REL_RESIDUAL, self.rel_residual)
            .set(
                ITERATIONS_TOKEN_CORR,
                self.each(|one| self.correlation(one.token_corr)),
            )
            .set(ITERATIONS_STATE_CORR, state_corr)
            .set(ITERATIONS_RESIDUAL, self.each(|one| finite(one.residual)))
            .set(
                ITERATIONS_REL_RESIDUAL,
                self.each(|one| finite(one.rel_residual)),
            )
            .set(
                ITERATIONS_STATE_NORM,
                self.each(|one| finite(one.state_norm)),
            );
    }

    fn each(&self, value: impl Fn(&Iteration<f64>) -> Option<f64>) -> Vec<Option<f64>> {
        self.iterations.iter().map(value).collect()
    }

    /// Returns the token correlation `c`; `None` for sequences of one token, or if `c` is NaN.
    fn correlation(&self, c: f64) -> Option<f64> {
        finite(c).filter(|_| self.seq > 1)
    }
}

fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use rondo_metrics::Record;
    use rondo_metrics::typed::{PerIteration, Scalar};
    use rondo_model::looped::Readout;

    use super::*;
    use crate::named::read_numbers;

    fn state(rows: [[f32; 4]; 2]) -> Tensor<3> {
        Tensor::from_data([rows], &Device::flex())
    }

    fn read(state: &Tensor<3>, trace: &Trace) -> Record {
        let readout = Readout {
            latent: state.clone(),
            state: state.clone(),
            hidden: state.clone(),
        };
        let forward = Forward {
            embedding: state.zeros_like(),
            readout,
            densities: Vec::new(),
        };
        let telemetry = read_numbers(measure(&forward, trace)).expect("flex does not fail");
        let mut record = Record::train(1, 8);
        telemetry.write(&mut record);
        record.finish()
    }

    #[test]
    fn equal_tokens_correlate_to_one_and_opposite_ones_to_minus_one() {
        let row = [3.0, 1.0, -1.0, 0.0];
        let same = state([row, row]);
        let opposite = state([row, row.map(|x| 1.0 - x)]);
        let trace = Trace {
            states: vec![opposite.clone(), same.clone()],
        };
        let found = read(&same, &trace);
        let number = |metric| found.get::<Scalar<Train>>(metric).expect("two positions");
        assert!((number(HIDDEN_STATE_CORR) - 1.0).abs() < 1e-6);
        assert!((number(RECURRENT_STATE_TOKEN_CORR) - 0.5).abs() < 1e-6);
        let found = read(&opposite, &trace);
        assert!((found.get(HIDDEN_STATE_CORR).expect("two positions") + 1.0).abs() < 1e-6);
    }

    #[test]
    fn an_iteration_that_only_scales_the_state_correlates_fully_with_the_one_before() {
        let a = state([[3.0, 1.0, -1.0, 0.0], [0.0, 2.0, 0.0, 1.0]]);
        let trace = Trace {
            states: vec![a.clone(), a.clone() * 2.0, a.clone() * 4.0],
        };
        let found = read(&a, &trace);
        let each = |metric| found.get::<PerIteration<Train>>(metric).expect("a series");
        assert_eq!(each(ITERATIONS_STATE_CORR)[0], None);
        assert!((found.get(ITERATION_CORR).expect("two iterations") - 1.0).abs() < 1e-6);
        assert!((each(ITERATIONS_REL_RESIDUAL)[1].expect("finite") - 0.5).abs() < 1e-6);
        let norm = f64::midpoint(11.0_f64.sqrt(), 5.0_f64.sqrt()) * 4.0;
        assert!((each(ITERATIONS_STATE_NORM)[1].expect("finite") - norm).abs() < 1e-5);
    }

    #[test]
    fn a_zero_state_or_a_single_position_has_no_correlation() {
        let zero = state([[0.0; 4]; 2]);
        let a = state([[3.0, 1.0, -1.0, 0.0], [0.0, 2.0, 0.0, 1.0]]);
        let states = vec![zero.clone(), a.clone(), zero];
        let found = read(&a, &Trace { states });
        assert_eq!(found.get(ITERATION_CORR), None);
        let one: Tensor<3> = a.slice(burn::tensor::s![.., 0..1, ..]);
        let states = vec![one.clone(), one.clone()];
        let found = read(&one, &Trace { states });
        assert_eq!(found.get(HIDDEN_STATE_CORR), None);
    }
}
